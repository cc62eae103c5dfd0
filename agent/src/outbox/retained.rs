//! What retention asks and writes down: removed files, and recordings that are gone from the disk.

use rusqlite::{Connection, params};

use super::{Outbox, OutboxError};

/// What the tables get for it, as one schema version adds it.
pub(super) const SCHEMA: &str = "
    ALTER TABLE upload ADD COLUMN removed_at INTEGER;     -- when the file was removed from the host, on our decision
    ALTER TABLE upload ADD COLUMN settled_at INTEGER;     -- when the API took the notice that says how it ended
    CREATE INDEX upload_verified ON upload (done_at) WHERE state = 3;
    CREATE INDEX upload_awaited ON upload (path) WHERE state <= 2 OR state = 6;
    ALTER TABLE recording ADD COLUMN gone_since INTEGER;  -- since when the file has not been found
";

/// A recording file that was told, and whether it is still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The recording's id.
    pub id: String,
    /// The file; not exact if its name is not UTF-8.
    pub path: String,
    /// Since when it has not been found, in milliseconds since 1970.
    pub gone_since: Option<i64>,
}

impl Outbox {
    /// Writes down that the file of a verified upload is being removed, or with `None` that it could not be.
    pub fn note_removal(&self, id: &str, at: Option<i64>) -> Result<(), OutboxError> {
        self.database()?
            .connection
            .prepare_cached("UPDATE upload SET removed_at = ?2 WHERE id = ?1 AND state = 3")?
            .execute(params![id, at])?;
        Ok(())
    }

    /// At most `limit` recordings that were told, in the order of their ids, behind `after`.
    pub fn known_recordings(&self, after: &str, limit: usize) -> Result<Vec<Known>, OutboxError> {
        Ok(known(&self.database()?.connection, after, limit)?)
    }

    /// Writes down since when recordings have not been found.
    pub fn note_gone(&self, changes: &[(String, Option<i64>)]) -> Result<(), OutboxError> {
        let database = self.database()?;
        let tx = database.connection.unchecked_transaction()?;
        for (id, since) in changes {
            tx.prepare_cached("UPDATE recording SET gone_since = ?2 WHERE id = ?1")?
                .execute(params![id, since])?;
        }
        Ok(tx.commit()?)
    }

    /// Forgets that recordings were told, and that the storage holds them. A file that comes back is told again, under the
    /// same id.
    pub fn forget_recordings(&self, ids: &[String]) -> Result<(), OutboxError> {
        let database = self.database()?;
        let tx = database.connection.unchecked_transaction()?;
        for id in ids {
            tx.prepare_cached("DELETE FROM recording WHERE id = ?1")?.execute([id])?;
            tx.prepare_cached("DELETE FROM upload WHERE id = ?1 AND state = 3")?.execute([id])?;
        }
        Ok(tx.commit()?)
    }
}

fn known(connection: &Connection, after: &str, limit: usize) -> rusqlite::Result<Vec<Known>> {
    let mut select = connection
        .prepare_cached("SELECT id, path, gone_since FROM recording WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = select.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(Known { id: row.get(0)?, path: row.get(1)?, gone_since: row.get(2)? })
    })?;
    rows.collect()
}
