//! Every change of an upload, and what is forgotten.

use std::os::unix::ffi::OsStrExt;

use contract::id::EventId;
use contract::recording::RecordingComplete;
use rusqlite::{Connection, OptionalExtension, params};

use super::read::path;
use super::{Course, Ending, NewRecording, Upload, UploadSeq, UploadState};
use crate::clock::now_ms;
use crate::outbox::log::{Choice, Filter};
use crate::outbox::model::{Kind, LaneId, Progress, State};
use crate::outbox::{append, released};
use crate::recordings::notice;

/// One change of an upload.
pub(in crate::outbox) enum Write<'a> {
    Queue(&'a NewRecording),
    Note(UploadSeq, &'a Course),
    Renew(&'a Upload),
    End(UploadSeq, &'a Ending),
}

impl Write<'_> {
    /// Bytes by which the outbox grows, roughly. What ends or goes on must always be possible.
    pub(in crate::outbox) fn bytes(&self) -> u64 {
        match self {
            Self::Queue(upload) => upload.notice.body.len() as u64 + 500,
            Self::Note(..) | Self::Renew(_) | Self::End(..) => 0,
        }
    }
}

/// Applies one change. The lanes that have something new to deliver are added to `touched`.
pub(in crate::outbox) fn write(
    connection: &Connection,
    change: &Write<'_>,
    touched: &mut Vec<LaneId>,
) -> rusqlite::Result<()> {
    match change {
        Write::Queue(upload) => queue(connection, upload),
        Write::Note(seq, course) => note(connection, *seq, course),
        Write::Renew(upload) => renew(connection, upload),
        Write::End(seq, ending) => end(connection, *seq, ending, touched),
    }
}

fn queue(connection: &Connection, upload: &NewRecording) -> rusqlite::Result<()> {
    let path = upload.path.as_os_str().as_bytes();
    connection
        .prepare_cached("INSERT OR IGNORE INTO recording (id, path) VALUES (?1, ?2)")?
        .execute(params![upload.notice.id.as_str(), upload.path.to_string_lossy()])?;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO upload (id, room, path, ino, size, modified, sha256, notice, state, queued_at,
               due_at, attempts, restarts, sent_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9, 0, 0, 0, 0)",
        )?
        .execute(params![
            upload.notice.id.as_str(),
            upload.notice.room,
            path,
            upload.file.inode.cast_signed(),
            upload.file.size.cast_signed(),
            upload.file.modified,
            upload.sha256,
            upload.notice.body,
            now_ms(),
        ])?;
    Ok(())
}

fn note(connection: &Connection, seq: UploadSeq, course: &Course) -> rusqlite::Result<()> {
    let parked_at = (course.state == UploadState::Parked).then(now_ms);
    connection
        .prepare_cached(
            "UPDATE upload SET state = ?2, due_at = ?3, attempts = ?4, restarts = ?5, sent_bytes = ?6, note = ?7,
               done_at = ?8 WHERE seq = ?1 AND state <= 2",
        )?
        .execute(params![
            seq,
            course.state as i64,
            course.due_at,
            course.attempts,
            course.restarts,
            course.sent_bytes.cast_signed(),
            course.note,
            parked_at,
        ])?;
    Ok(())
}

fn renew(connection: &Connection, upload: &Upload) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE upload SET ino = ?2, size = ?3, modified = ?4, sha256 = ?5, notice = ?6, sent_bytes = 0
             WHERE seq = ?1 AND state <= 2",
        )?
        .execute(params![
            upload.seq,
            upload.file.inode.cast_signed(),
            upload.file.size.cast_signed(),
            upload.file.modified,
            upload.sha256,
            upload.notice,
        ])?;
    Ok(())
}

fn end(
    connection: &Connection,
    seq: UploadSeq,
    ending: &Ending,
    touched: &mut Vec<LaneId>,
) -> rusqlite::Result<()> {
    let now = now_ms();
    let (bucket, key) = ending.object.clone().unzip();
    let ended = connection
        .prepare_cached(
            "UPDATE upload SET state = ?2, done_at = ?3, bucket = ?4, object_key = ?5, note = ?6, notice = x'', settled_at = NULL,
               sent_bytes = CASE ?2 WHEN 3 THEN size ELSE sent_bytes END
             WHERE seq = ?1 AND state <= 2 RETURNING path, first_id",
        )?
        .query_row(params![seq, ending.state as i64, now, bucket, key, ending.note], |row| {
            Ok((path(row, 0)?, row.get::<_, Option<String>>(1)?))
        })
        .optional()?;
    if let Some((path, first_id)) = ended {
        let progress = Progress::Recording { path: path.display().to_string() };
        append::append(connection, std::slice::from_ref(&ending.notice), &progress, now, touched)?;
        for id in [Some(ending.notice.id.as_str()), first_id.as_deref()].into_iter().flatten() {
            released::note(connection, id, ending.releases)?;
        }
    }
    Ok(())
}

/// Makes the parked uploads that are meant open again, and those that are named by id if they were given up. Returns how many.
pub(in crate::outbox) fn unpark(connection: &Connection, choice: &Choice<'_>) -> rusqlite::Result<usize> {
    let (ids, filter): (&[String], _) = match choice {
        Choice::Ids(ids) => (ids, None),
        Choice::Matching(filter) => (&[], Some(filter)),
    };
    let mut update = connection.prepare_cached(
        "UPDATE upload SET state = 0, due_at = 0, attempts = 0, restarts = 0, done_at = NULL
         WHERE state = 6 AND (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR room = ?2)
           AND (?3 IS NULL OR queued_at >= ?3) AND (?4 IS NULL OR queued_at < ?4)",
    )?;
    let mut count = 0;
    for id in ids {
        count += update.execute(params![id, None::<String>, None::<i64>, None::<i64>])?;
        count += usize::from(begin_again(connection, id)?);
    }
    // An upload is a recording's, and was parked without a request of its own.
    if let Some(Filter {
        state: None | Some(State::Parked),
        kind: None | Some(Kind::Recording),
        status: None,
        room,
        since,
        until,
    }) = filter
    {
        count += update.execute(params![None::<String>, room, since, until])?;
    }
    Ok(count)
}

/// Makes an upload open again that was given up, or that the API did not want for what it lacks. Its notice went out, and
/// the API takes a notice once: another one, of the same file under another id, is to say where the file is.
fn begin_again(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    let told: Option<Vec<u8>> = connection
        .prepare_cached(
            "SELECT item.body FROM upload JOIN recording ON recording.id = upload.id JOIN item ON item.id = upload.id
             WHERE upload.id = ?1 AND upload.state IN (4, 5) AND NOT recording.released",
        )?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let Some(Ok(mut notice)) = told.map(|told| serde_json::from_slice::<RecordingComplete>(&told)) else {
        return Ok(false);
    };
    let again = EventId::of_recording(&[id.as_bytes(), b"again"]);
    notice.id = again.clone();
    notice.upload_note = None;
    connection
        .prepare_cached(
            "UPDATE upload SET first_id = COALESCE(first_id, id), id = ?2, notice = ?3, state = 0, due_at = 0, attempts = 0,
               restarts = 0, sent_bytes = 0, done_at = NULL WHERE id = ?1",
        )?
        .execute(params![id, again.as_str(), notice::body(&notice)])?;
    connection
        .prepare_cached(
            "INSERT OR IGNORE INTO recording (id, path) SELECT ?2, path FROM recording WHERE id = ?1",
        )?
        .execute(params![id, again.as_str()])?;
    Ok(true)
}

/// Forgets uploads that ended before `cutoff`. One that is verified is the proof that its file may be deleted, so it stays
/// until the file was removed, or its recording is forgotten because the file has been gone for long.
pub(in crate::outbox) fn prune(connection: &Connection, cutoff: i64) -> rusqlite::Result<()> {
    connection.execute(
        "DELETE FROM upload WHERE state IN (3, 4, 5) AND done_at < ?1 AND (state <> 3 OR removed_at < ?1)",
        [cutoff],
    )?;
    Ok(())
}
