//! The outbox's tables, and how an older file becomes a current one.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::{DATABASE, OutboxError, released, retained, uploads};
use crate::chain::Chain;

/// The length that the write-ahead log is given at least, in bytes.
const LOG_BYTES: u64 = 4 << 20;

/// One entry per schema version; an entry is never edited once released.
const MIGRATIONS: &[&str] = &["
    -- Rooms, so that an item names its room in two bytes.
    CREATE TABLE lane (
        id               INTEGER PRIMARY KEY AUTOINCREMENT,
        room             TEXT    NOT NULL UNIQUE,
        queued_at        INTEGER NOT NULL,   -- when something was queued last
        no_meeting_since INTEGER             -- since when the API has said that it knows no meeting for the room
    );
    -- Everything that was ever queued and not yet pruned. `seq` is the order of queuing.
    CREATE TABLE item (
        seq       INTEGER PRIMARY KEY,
        id        TEXT    NOT NULL UNIQUE,
        lane      INTEGER NOT NULL,
        kind      INTEGER NOT NULL,          -- see model::Kind
        state     INTEGER NOT NULL,          -- see model::State
        queued_at INTEGER NOT NULL,          -- milliseconds since 1970, like every time here
        file      INTEGER NOT NULL,          -- the cursor it was read under; 0 for none
        offset    INTEGER NOT NULL,          -- the byte in that file
        body      BLOB    NOT NULL,
        due_at    INTEGER,                   -- head of a lane: not to be tried sooner
        attempts  INTEGER,                   -- head of a lane: failures that lengthen the backoff
        done_at   INTEGER,                   -- when it was settled or parked
        status    INTEGER,                   -- HTTP status of the answer that settled or parked it
        took_ms   INTEGER,                   -- how long that request took
        note      TEXT                       -- why it was parked
    );
    CREATE INDEX item_ready ON item (lane, seq) WHERE state = 0;
    CREATE INDEX item_parked ON item (seq) WHERE state = 2;
    -- Requests that did not settle what they carried: a lane, and the range of its items.
    CREATE TABLE attempt (
        lane      INTEGER NOT NULL,
        first_seq INTEGER NOT NULL,
        last_seq  INTEGER NOT NULL,
        at        INTEGER NOT NULL,
        status    INTEGER,
        took_ms   INTEGER NOT NULL,
        note      TEXT    NOT NULL
    );
    CREATE INDEX attempt_lane ON attempt (lane, first_seq);
    CREATE INDEX attempt_at ON attempt (at);
    -- How far each spool file was read. `guard` is a digest of the bytes just before `offset`.
    CREATE TABLE cursor (
        file    INTEGER PRIMARY KEY,
        path    TEXT    NOT NULL,
        dev     INTEGER NOT NULL,
        ino     INTEGER NOT NULL,
        head    BLOB    NOT NULL,
        offset  INTEGER NOT NULL,
        guard   BLOB    NOT NULL,
        seen_at INTEGER NOT NULL
    );
    CREATE INDEX cursor_identity ON cursor (dev, ino);
    -- Recording files that were queued, so that a restart does not queue them again, whatever became of the item. Kept for ever:
    -- a file may stay on disk for years.
    CREATE TABLE recording (
        id   TEXT PRIMARY KEY,
        path TEXT NOT NULL                   -- for people
    ) WITHOUT ROWID;
    -- One row: what this host is called, whatever its name.
    CREATE TABLE host (id TEXT NOT NULL);
    INSERT INTO host VALUES (lower(hex(randomblob(8))));
", "
    -- What the agent says of itself to those who look from outside, and what they ask of it: one row for each subject.
    CREATE TABLE fact (
        name TEXT PRIMARY KEY,
        at   INTEGER NOT NULL,
        body TEXT    NOT NULL                -- JSON
    ) WITHOUT ROWID;
    CREATE INDEX item_discarded ON item (seq) WHERE state = 3;
", uploads::SCHEMA, retained::SCHEMA, released::SCHEMA];

/// Brings the file to the newest schema; refuses a file that a newer release wrote.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), OutboxError> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let current = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    match version.cmp(&current) {
        Ordering::Greater => return Err(OutboxError::Newer { version, current }),
        // A full disk must not keep the agent from delivering what it has.
        Ordering::Equal => return Ok(()),
        Ordering::Less => {}
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", current)?;
    tx.commit()?;
    Ok(())
}

/// Opens the file for the daemon: write-ahead log, every commit on stable storage, checkpoints when we say so.
pub(super) fn configure_writer(connection: &Connection) -> Result<(), OutboxError> {
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    // Checkpoints cost several fsyncs: they run between deliveries, not in the middle of one.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "cache_size", -2048)?;
    connection.set_prepared_statement_cache_capacity(32);
    keep_log(connection)?;
    Ok(())
}

/// What this host is called for ever.
pub(super) fn host_id(connection: &Connection) -> Result<String, OutboxError> {
    Ok(connection.query_row("SELECT id FROM host", [], |row| row.get(0))?)
}

/// The last connection that closes leaves the log and its index where they are.
///
/// `SQLite` would remove them, and a start needs them again: on a full disk it would not get them, and what a start leads
/// to is what relieves the disk.
pub(super) fn keep_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map(|_| ())
}

/// Gives the write-ahead log its length before the first event needs it, and has it used again from its start.
///
/// A commit into a file that grows waits for the file system's journal, and so for other programs; a commit into blocks
/// that are there already does not. On a full disk the log that is there is what can be written to.
pub(super) fn prepare_log(connection: &Connection, directory: &Path) {
    let log = directory.join(format!("{DATABASE}-wal"));
    let is_long = fs::metadata(log).is_ok_and(|log| log.len() >= LOG_BYTES);
    let lengthened = if is_long {
        Ok(())
    } else {
        connection.execute_batch(&format!(
            "DROP TABLE IF EXISTS filler;
             CREATE TABLE filler (content BLOB);
             INSERT INTO filler VALUES (zeroblob({LOG_BYTES}));
             DROP TABLE filler;"
        ))
    };
    let prepared =
        lengthened.and_then(|()| connection.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(())));
    if let Err(error) = prepared {
        tracing::warn!(error = %Chain(&error), "the outbox's log could not be given its length (is the disk full?)");
    }
}
