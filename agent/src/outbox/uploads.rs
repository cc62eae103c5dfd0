//! Uploads: recording files on their way into the object storage.
//!
//! A recording that is to be uploaded stands here instead of among the items: its notice becomes an item in the very
//! transaction that ends the upload, when it is known where the file is. Which parts of a file are stored is known by the
//! storage alone; what stands here is enough to ask.
//!
//! | state | meaning | leaves by |
//! |---|---|---|
//! | [`UploadState::Waiting`] | the API is to be asked, now or at a time | its answer |
//! | [`UploadState::Sending`] | the file is being sent | the last part, or a failure |
//! | [`UploadState::Verifying`] | the API reads the object back | its answer |
//! | [`UploadState::Verified`] | the storage holds what the host held | never: this is the proof that the file may be deleted |
//! | [`UploadState::Kept`] | the API did not want the file | pruned after the retention time |
//! | [`UploadState::GivenUp`] | the file could not be uploaded, and its notice says so | pruned after the retention time |
//! | [`UploadState::Parked`] | a person has to look; the notice waits | an operator's retry; never pruned |
//!
//! The first three are one state to a restarted agent: it asks the API.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::log::{Choice, DeliveryLog, Filter};
use super::model::{Kind, LaneId, NewItem, Progress, State};
use super::{Outbox, OutboxError, append};
use crate::clock::now_ms;

/// The table, as one schema version adds it.
pub(super) const SCHEMA: &str = "
    -- Recording files that are or were to be uploaded.
    CREATE TABLE upload (
        seq              INTEGER PRIMARY KEY AUTOINCREMENT,
        id               TEXT    NOT NULL UNIQUE,   -- the recording's
        room             TEXT    NOT NULL,
        path             BLOB    NOT NULL,
        ino              INTEGER NOT NULL,          -- the file as it was when its checksum was computed
        size             INTEGER NOT NULL,
        modified         INTEGER NOT NULL,          -- nanoseconds since 1970
        sha256           TEXT    NOT NULL,
        notice           BLOB    NOT NULL,          -- empty once it is an item
        state            INTEGER NOT NULL,          -- see uploads::UploadState
        queued_at        INTEGER NOT NULL,
        due_at           INTEGER NOT NULL,          -- not to be tried sooner
        attempts         INTEGER NOT NULL,          -- failures in a row
        restarts         INTEGER NOT NULL,          -- how often the storage held something else than the host
        no_meeting_since INTEGER,                   -- since when the API has said that it knows no meeting
        sent_bytes       INTEGER NOT NULL,          -- written down rarely
        done_at          INTEGER,
        bucket           TEXT,
        object_key       TEXT,
        note             TEXT                       -- what went wrong last, or why it ended as it did
    );
    CREATE INDEX upload_open ON upload (seq) WHERE state <= 2;
    CREATE INDEX upload_parked ON upload (seq) WHERE state = 6;
";

/// An upload's address in the outbox, and the order of queuing.
pub type UploadSeq = i64;

/// Where an upload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i64)]
pub enum UploadState {
    /// The API is to be asked.
    Waiting = 0,
    /// Parts are being sent.
    Sending = 1,
    /// The API reads the object back.
    Verifying = 2,
    /// The storage holds what the host held.
    Verified = 3,
    /// The API did not want the file.
    Kept = 4,
    /// The file could not be uploaded.
    GivenUp = 5,
    /// Waiting for a person.
    Parked = 6,
}

impl UploadState {
    /// The state as people write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sending => "sending",
            Self::Verifying => "verifying",
            Self::Verified => "verified",
            Self::Kept => "kept",
            Self::GivenUp => "given-up",
            Self::Parked => "parked",
        }
    }

    fn from_code(code: i64) -> Self {
        match code {
            0 => Self::Waiting,
            1 => Self::Sending,
            2 => Self::Verifying,
            3 => Self::Verified,
            4 => Self::Kept,
            5 => Self::GivenUp,
            _ => Self::Parked,
        }
    }
}

/// Which file was read, and how it looked then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileIdentity {
    /// The inode. Not the device, whose number changes when the host starts again.
    pub inode: u64,
    /// The length in bytes.
    pub size: u64,
    /// The last modification, in nanoseconds since 1970.
    pub modified: i64,
}

impl FileIdentity {
    /// What a file is known by.
    pub fn of(file: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            inode: file.ino(),
            size: file.len(),
            modified: file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec()),
        }
    }
}

/// A finished recording.
#[derive(Debug, Clone)]
pub struct NewRecording {
    /// The recording's notice, without bucket and key.
    pub notice: NewItem,
    /// The file.
    pub path: PathBuf,
    /// The file as it was when its checksum was computed.
    pub file: FileIdentity,
    /// Its checksum, in lower-case hexadecimal.
    pub sha256: String,
}

/// An open upload, as the upload loop finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenUpload {
    /// Its address.
    pub seq: UploadSeq,
    /// When it was queued, in milliseconds since 1970.
    pub queued_at: i64,
    /// Not to be tried before this.
    pub due_at: i64,
}

/// An upload with what is needed to go on with it.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its address.
    pub seq: UploadSeq,
    /// The recording's id.
    pub id: String,
    /// The room.
    pub room: String,
    /// The file.
    pub path: PathBuf,
    /// The file as it was when its checksum was computed.
    pub file: FileIdentity,
    /// Its checksum.
    pub sha256: String,
    /// The notice, without bucket and key.
    pub notice: Vec<u8>,
    /// How it goes.
    pub course: Course,
}

/// How an upload goes: what changes while it is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    /// Where it stands.
    pub state: UploadState,
    /// Not to be tried before this, in milliseconds since 1970.
    pub due_at: i64,
    /// Failures in a row.
    pub attempts: u32,
    /// How often the storage held something else than the host.
    pub restarts: u32,
    /// Since when the API has said that it knows no meeting for the room.
    pub no_meeting_since: Option<i64>,
    /// Bytes that the storage has, as far as was written down.
    pub sent_bytes: u64,
    /// What went wrong last.
    pub note: Option<String>,
}

/// How an upload ended.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Verified, kept or given up.
    pub state: UploadState,
    /// Where the object is, if the storage has it: bucket and key.
    pub object: Option<(String, String)>,
    /// Why it ended so, for people.
    pub note: Option<String>,
    /// The notice that goes out now.
    pub notice: NewItem,
}

/// An upload as people see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadEntry {
    /// The recording's id, which its notice has too.
    pub id: String,
    /// The room.
    pub room: String,
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Bytes that the storage has; behind by up to a second.
    pub sent_bytes: u64,
    /// Where it stands.
    pub state: UploadState,
    /// When it was queued, in milliseconds since 1970.
    pub queued_at: i64,
    /// Not to be tried before this, if it waits.
    pub due_at: i64,
    /// Failures in a row.
    pub attempts: u32,
    /// When it ended.
    pub done_at: Option<i64>,
    /// Where the object is, if the storage has it: bucket and key.
    pub object: Option<(String, String)>,
    /// What went wrong last, or why it ended as it did.
    pub note: Option<String>,
}

/// The open uploads in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UploadTotals {
    /// Being sent or verified.
    pub active: u64,
    /// Waiting for their turn.
    pub waiting: u64,
    /// Waiting for a person.
    pub parked: u64,
    /// Bytes that are still to be sent.
    pub bytes_left: u64,
}

/// A recording of which the storage holds a verified copy, and the API's own word for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// The recording's id.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// The file as it was uploaded. One that looks different now is not what the storage holds.
    pub file: FileIdentity,
    /// The checksum that was verified.
    pub sha256: String,
    /// When the API said so, in milliseconds since 1970.
    pub verified_at: i64,
    /// Whether the API holds the recording's notice.
    pub notice_is_settled: bool,
    /// Whether the same file is being uploaded again, because more became known of it.
    pub is_open_elsewhere: bool,
    /// When we began to remove the file.
    pub removed_at: Option<i64>,
}

impl Outbox {
    /// The same outbox, but what is queued with [`Self::queue_recording`] is uploaded before it is reported.
    #[must_use]
    pub fn uploading(self) -> Self {
        Self { uploads: true, ..self }
    }

    /// Remembers a finished recording and queues its upload, or its notice where nothing is uploaded, durably. One that is
    /// there already is left as it is.
    pub fn queue_recording(&self, recording: &NewRecording) -> Result<(), OutboxError> {
        if self.uploads {
            self.database()?.write_upload(&Write::Queue(recording))?;
            self.bell.ring();
        } else {
            let path = recording.path.display().to_string();
            self.append(std::slice::from_ref(&recording.notice), &Progress::Recording { path })?;
        }
        Ok(())
    }

    /// Writes down how an open upload goes.
    pub fn note_upload(&self, seq: UploadSeq, course: &Course) -> Result<(), OutboxError> {
        self.database()?.write_upload(&Write::Note(seq, course))
    }

    /// Writes down what an upload's file is now, and the notice that says so.
    pub fn renew_upload(&self, upload: &Upload) -> Result<(), OutboxError> {
        self.database()?.write_upload(&Write::Renew(upload))
    }

    /// Ends an upload and queues its notice, in one transaction.
    pub fn end_upload(&self, seq: UploadSeq, ending: &Ending) -> Result<(), OutboxError> {
        self.database()?.write_upload(&Write::End(seq, ending))
    }

    /// Every recording of which the storage holds a verified copy, the longest verified first.
    pub fn confirmed_recordings(&self) -> Result<Vec<Confirmed>, OutboxError> {
        Ok(confirmed(&self.database()?.connection)?)
    }

    /// Returns when there may be something to upload. True: another process changed the outbox, so anything may be.
    pub async fn upload_bell(&self) -> bool {
        self.bell.rung().await
    }
}

impl DeliveryLog {
    /// The uploads that are open or parked, in the order of queuing, then the latest that ended, at most `ended` of them.
    pub fn uploads(&self, ended: u32) -> Result<Vec<UploadEntry>, OutboxError> {
        Ok(list(&self.connection, ended)?)
    }

    /// The uploads in numbers, whatever their number.
    pub fn upload_totals(&self) -> Result<UploadTotals, OutboxError> {
        Ok(totals(&self.connection)?)
    }
}

/// Wakes the upload loop.
#[derive(Default)]
pub(super) struct Bell {
    notify: tokio::sync::Notify,
    anything: std::sync::atomic::AtomicBool,
}

impl Bell {
    /// An upload was queued.
    pub(super) fn ring(&self) {
        self.notify.notify_one();
    }

    /// Another process changed the outbox.
    pub(super) fn ring_for_anything(&self) {
        self.anything.store(true, std::sync::atomic::Ordering::Release);
        self.notify.notify_one();
    }

    async fn rung(&self) -> bool {
        self.notify.notified().await;
        self.anything.swap(false, std::sync::atomic::Ordering::AcqRel)
    }
}

/// One change of an upload.
pub(super) enum Write<'a> {
    Queue(&'a NewRecording),
    Note(UploadSeq, &'a Course),
    Renew(&'a Upload),
    End(UploadSeq, &'a Ending),
}

impl Write<'_> {
    /// Bytes by which the outbox grows, roughly. What ends or goes on must always be possible.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Queue(upload) => upload.notice.body.len() as u64 + 500,
            Self::Note(..) | Self::Renew(_) | Self::End(..) => 0,
        }
    }
}

/// Applies one change. The lanes that have something new to deliver are added to `touched`.
pub(super) fn write(
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
            "UPDATE upload SET state = ?2, due_at = ?3, attempts = ?4, restarts = ?5, no_meeting_since = ?6,
               sent_bytes = ?7, note = ?8, done_at = ?9 WHERE seq = ?1 AND state <= 2",
        )?
        .execute(params![
            seq,
            course.state as i64,
            course.due_at,
            course.attempts,
            course.restarts,
            course.no_meeting_since,
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
            "UPDATE upload SET state = ?2, done_at = ?3, bucket = ?4, object_key = ?5, note = ?6, notice = x'',
               sent_bytes = CASE ?2 WHEN 3 THEN size ELSE sent_bytes END
             WHERE seq = ?1 AND state <= 2 RETURNING path",
        )?
        .query_row(params![seq, ending.state as i64, now, bucket, key, ending.note], |row| path(row, 0))
        .optional()?;
    if let Some(path) = ended {
        let progress = Progress::Recording { path: path.display().to_string() };
        append::append(connection, std::slice::from_ref(&ending.notice), &progress, now, touched)?;
    }
    Ok(())
}

/// Makes the parked uploads that are meant open again. Returns how many.
pub(super) fn unpark(connection: &Connection, choice: &Choice<'_>) -> rusqlite::Result<usize> {
    let (ids, filter): (&[String], _) = match choice {
        Choice::Ids(ids) => (ids, None),
        Choice::Matching(filter) => (&[], Some(filter)),
    };
    let mut update = connection.prepare_cached(
        "UPDATE upload SET state = 0, due_at = 0, attempts = 0, restarts = 0, no_meeting_since = NULL, done_at = NULL
         WHERE state = 6 AND (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR room = ?2)
           AND (?3 IS NULL OR queued_at >= ?3) AND (?4 IS NULL OR queued_at < ?4)",
    )?;
    let mut count = 0;
    for id in ids {
        count += update.execute(params![id, None::<String>, None::<i64>, None::<i64>])?;
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

/// Open uploads behind `after`, in the order of queuing.
pub(super) fn open(connection: &Connection, after: UploadSeq) -> rusqlite::Result<Vec<OpenUpload>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, queued_at, due_at FROM upload INDEXED BY upload_open WHERE state <= 2 AND seq > ?1 ORDER BY seq",
    )?;
    let rows = select.query_map([after], |row| {
        Ok(OpenUpload { seq: row.get(0)?, queued_at: row.get(1)?, due_at: row.get(2)? })
    })?;
    rows.collect()
}

/// One open upload; `None` if it is not open any more.
pub(super) fn one(connection: &Connection, seq: UploadSeq) -> rusqlite::Result<Option<Upload>> {
    let mut select = connection.prepare_cached(
        "SELECT id, room, path, ino, size, modified, sha256, notice, state, due_at, attempts, restarts,
           no_meeting_since, sent_bytes, note
         FROM upload WHERE seq = ?1 AND state <= 2",
    )?;
    let row = |row: &Row<'_>| {
        Ok(Upload {
            seq,
            id: row.get(0)?,
            room: row.get(1)?,
            path: path(row, 2)?,
            file: identity(row, 3)?,
            sha256: row.get(6)?,
            notice: row.get(7)?,
            course: Course {
                state: UploadState::from_code(row.get(8)?),
                due_at: row.get(9)?,
                attempts: row.get(10)?,
                restarts: row.get(11)?,
                no_meeting_since: row.get(12)?,
                sent_bytes: row.get::<_, i64>(13)?.cast_unsigned(),
                note: row.get(14)?,
            },
        })
    };
    select.query_row([seq], row).optional()
}

const ENTRY: &str =
    "SELECT id, room, path, size, sent_bytes, state, queued_at, due_at, attempts, done_at, bucket,
  object_key, note FROM upload";

/// See [`DeliveryLog::uploads`].
fn list(connection: &Connection, ended: u32) -> rusqlite::Result<Vec<UploadEntry>> {
    if !is_there(connection)? {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for (rest, limit) in [
        ("WHERE state <= 2 ORDER BY seq LIMIT ?1", i64::MAX),
        ("WHERE state = 6 ORDER BY seq LIMIT ?1", i64::MAX),
        ("WHERE state IN (3, 4, 5) ORDER BY seq DESC LIMIT ?1", i64::from(ended)),
    ] {
        let mut select = connection.prepare_cached(&format!("{ENTRY} {rest}"))?;
        let rows = select.query_map([limit], |row| {
            Ok(UploadEntry {
                id: row.get(0)?,
                room: row.get(1)?,
                path: path(row, 2)?,
                size_bytes: row.get::<_, i64>(3)?.cast_unsigned(),
                sent_bytes: row.get::<_, i64>(4)?.cast_unsigned(),
                state: UploadState::from_code(row.get(5)?),
                queued_at: row.get(6)?,
                due_at: row.get(7)?,
                attempts: row.get(8)?,
                done_at: row.get(9)?,
                object: row.get::<_, Option<String>>(10)?.zip(row.get(11)?),
                note: row.get(12)?,
            })
        })?;
        for row in rows {
            entries.push(row?);
        }
    }
    Ok(entries)
}

/// See [`DeliveryLog::upload_totals`].
pub(super) fn totals(connection: &Connection) -> rusqlite::Result<UploadTotals> {
    if !is_there(connection)? {
        return Ok(UploadTotals::default());
    }
    let open = connection
        .prepare_cached(
            "SELECT COALESCE(SUM(state <> 0), 0), COALESCE(SUM(state = 0), 0), COALESCE(SUM(MAX(size - sent_bytes, 0)), 0)
             FROM upload INDEXED BY upload_open WHERE state <= 2",
        )?
        .query_row([], |row| Ok([row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?].map(i64::cast_unsigned)))?;
    let parked = connection
        .prepare_cached("SELECT COUNT(*) FROM upload INDEXED BY upload_parked WHERE state = 6")?
        .query_row([], |row| row.get::<_, i64>(0))?;
    let [active, waiting, bytes_left] = open;
    Ok(UploadTotals { active, waiting, parked: parked.cast_unsigned(), bytes_left })
}

/// Whether there is a table: an outbox that no release with uploads has opened yet has none.
fn is_there(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'upload'")?.exists([])
}

fn confirmed(connection: &Connection) -> rusqlite::Result<Vec<Confirmed>> {
    // A settled notice is pruned after a while, an unsettled one never is.
    let mut select = connection.prepare_cached(
        "SELECT upload.id, path, ino, size, modified, sha256, upload.done_at, COALESCE(item.state = 1, 1),
           EXISTS (SELECT 1 FROM upload other INDEXED BY upload_open WHERE other.state <= 2 AND other.path = upload.path)
           OR EXISTS (SELECT 1 FROM upload other INDEXED BY upload_parked WHERE other.state = 6 AND other.path = upload.path),
           removed_at
         FROM upload LEFT JOIN item ON item.id = upload.id WHERE upload.state = 3 ORDER BY upload.done_at",
    )?;
    let rows = select.query_map([], |row| {
        Ok(Confirmed {
            id: row.get(0)?,
            path: path(row, 1)?,
            file: identity(row, 2)?,
            sha256: row.get(5)?,
            verified_at: row.get(6)?,
            notice_is_settled: row.get(7)?,
            is_open_elsewhere: row.get(8)?,
            removed_at: row.get(9)?,
        })
    })?;
    rows.collect()
}

/// Forgets uploads that ended before `cutoff`. One that is verified is the proof that its file may be deleted, so it stays
/// for as long as there is a file.
pub(super) fn prune(connection: &Connection, cutoff: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM upload WHERE state IN (4, 5) AND done_at < ?1", [cutoff])?;
    let mut select =
        connection.prepare_cached("SELECT seq, path FROM upload WHERE state = 3 AND done_at < ?1")?;
    let old: Vec<(UploadSeq, PathBuf)> =
        select.query_map([cutoff], |row| Ok((row.get(0)?, path(row, 1)?)))?.collect::<Result<_, _>>()?;
    for (seq, _) in old.iter().filter(|(_, path)| matches!(path.try_exists(), Ok(false))) {
        connection.execute("DELETE FROM upload WHERE seq = ?1", [seq])?;
    }
    Ok(())
}

fn path(row: &Row<'_>, index: usize) -> rusqlite::Result<PathBuf> {
    Ok(OsString::from_vec(row.get(index)?).into())
}

fn identity(row: &Row<'_>, first: usize) -> rusqlite::Result<FileIdentity> {
    let number = |index: usize| row.get::<_, i64>(first + index).map(i64::cast_unsigned);
    Ok(FileIdentity { inode: number(0)?, size: number(1)?, modified: row.get(first + 2)? })
}
