//! Which recordings this host need not hold for us any more.
//!
//! That a recording is released is the proof that a link may go which keeps its file from a finalize script ([`crate::kept`]).
//! It stands beside the recording, not beside its upload, because what ended is pruned after a while and the proof is not.

use rusqlite::{Connection, OptionalExtension, params};

use super::log::DeliveryLog;
use super::model::{Kind, State};
use super::{OutboxError, schema};

/// What the tables get for it, as one schema version adds it.
pub(super) const SCHEMA: &str = "
    -- Whether the host need not hold the file for us: it is verified, or nobody wants it uploaded.
    ALTER TABLE recording ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
";

/// Writes down whether the host need not hold the file of a recording that was told.
pub(super) fn note(connection: &Connection, id: &str, released: bool) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE recording SET released = ?2 WHERE id = ?1")?
        .execute(params![id, released])?;
    Ok(())
}

/// For whom this host holds the file of a recording that was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// For its upload.
    Upload,
    /// For a person: it was not uploaded though it was to be, or names no room.
    Person,
    /// For nobody: it is released.
    Nobody,
}

impl DeliveryLog {
    /// For whom this host holds the file of the recording with this id; `None` if it was never told.
    ///
    /// A recording that names no room is released when an operator discards its item.
    pub fn held(&self, id: &str) -> Result<Option<Held>, OutboxError> {
        let mut select = self.connection.prepare_cached(
            "SELECT released OR EXISTS (SELECT 1 FROM item WHERE item.id = recording.id AND kind = ?2 AND state = ?3),
               EXISTS (SELECT 1 FROM upload WHERE upload.id = recording.id AND state <= 2)
             FROM recording WHERE id = ?1",
        )?;
        let values = params![id, Kind::Unreadable as i64, State::Discarded as i64];
        let held = select.query_row(values, |row| {
            Ok(match (row.get(0)?, row.get(1)?) {
                (true, _) => Held::Nobody,
                (false, true) => Held::Upload,
                (false, false) => Held::Person,
            })
        });
        Ok(held.optional()?)
    }

    /// Whether the recording with this id was told, whatever became of it.
    pub fn is_told(&self, id: &str) -> Result<bool, OutboxError> {
        Ok(super::append::recording_is_queued(&self.connection, id)?)
    }

    /// What this host is called for ever.
    pub fn host_id(&self) -> Result<String, OutboxError> {
        schema::host_id(&self.connection)
    }
}
