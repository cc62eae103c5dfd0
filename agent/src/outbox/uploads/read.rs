//! What stands in the table.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    Confirmed, Course, FileIdentity, OpenUpload, Upload, UploadEntry, UploadSeq, UploadState, UploadTotals,
};

/// Open uploads behind `after`, in the order of queuing.
pub(in crate::outbox) fn open(
    connection: &Connection,
    after: UploadSeq,
) -> rusqlite::Result<Vec<OpenUpload>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, queued_at, due_at FROM upload INDEXED BY upload_open WHERE state <= 2 AND seq > ?1 ORDER BY seq",
    )?;
    let rows = select.query_map([after], |row| {
        Ok(OpenUpload { seq: row.get(0)?, queued_at: row.get(1)?, due_at: row.get(2)? })
    })?;
    rows.collect()
}

/// Whether there is or was anything to upload.
pub(in crate::outbox) fn any(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM upload")?.exists([])
}

/// One open upload; `None` if it is not open any more.
pub(in crate::outbox) fn one(connection: &Connection, seq: UploadSeq) -> rusqlite::Result<Option<Upload>> {
    let mut select = connection.prepare_cached(
        "SELECT id, room, path, ino, size, modified, sha256, notice, state, due_at, attempts, restarts,
           sent_bytes, note
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
                sent_bytes: row.get::<_, i64>(12)?.cast_unsigned(),
                note: row.get(13)?,
            },
        })
    };
    select.query_row([seq], row).optional()
}

const ENTRY: &str =
    "SELECT id, room, path, size, sent_bytes, state, queued_at, due_at, attempts, done_at, bucket,
  object_key, note FROM upload";

/// See [`uploads`](super::super::log::DeliveryLog::uploads).
pub(super) fn list(connection: &Connection, ended: u32) -> rusqlite::Result<Vec<UploadEntry>> {
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

/// See [`upload_totals`](super::super::log::DeliveryLog::upload_totals).
pub(in crate::outbox) fn totals(connection: &Connection) -> rusqlite::Result<UploadTotals> {
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

pub(in crate::outbox) fn confirmed(connection: &Connection) -> rusqlite::Result<Vec<Confirmed>> {
    let mut select = connection.prepare_cached(
        "SELECT id, path, ino, size, modified, sha256, done_at, settled_at IS NOT NULL,
           EXISTS (SELECT 1 FROM upload other INDEXED BY upload_awaited
                   WHERE (other.state <= 2 OR other.state = 6) AND other.path = upload.path),
           removed_at
         FROM upload INDEXED BY upload_verified WHERE state = 3 ORDER BY done_at",
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

pub(super) fn path(row: &Row<'_>, index: usize) -> rusqlite::Result<PathBuf> {
    Ok(OsString::from_vec(row.get(index)?).into())
}

fn identity(row: &Row<'_>, first: usize) -> rusqlite::Result<FileIdentity> {
    let number = |index: usize| row.get::<_, i64>(first + index).map(i64::cast_unsigned);
    Ok(FileIdentity { inode: number(0)?, size: number(1)?, modified: row.get(first + 2)? })
}
