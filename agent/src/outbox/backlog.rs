//! What waits, in numbers that cost little however long the delivery log is: for what asks every few seconds.

use rusqlite::{Connection, OptionalExtension};

use super::OutboxError;
use super::log::{Attempt, DeliveryLog};
use super::uploads::{self, UploadTotals};

/// What waits now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Items to be delivered.
    pub ready: u64,
    /// Rooms that they belong to.
    pub rooms: u64,
    /// When the oldest of them was queued, in milliseconds since 1970.
    pub oldest_ready: Option<i64>,
    /// Items that wait for a person.
    pub parked: u64,
    /// The uploads of recording files.
    pub uploads: UploadTotals,
    /// The last request that went wrong.
    pub last_failure: Option<Attempt>,
    /// Bytes in use.
    pub bytes: u64,
}

impl DeliveryLog {
    /// What waits now. Reads indexes alone, never the settled items.
    pub fn backlog(&self) -> Result<Backlog, OutboxError> {
        Ok(read(&self.connection)?)
    }
}

fn read(connection: &Connection) -> rusqlite::Result<Backlog> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    // Items are queued in the order of their numbers.
    let oldest_ready = connection
        .query_row(
            "SELECT queued_at FROM item WHERE seq = (SELECT MIN(seq) FROM item INDEXED BY item_ready WHERE state = 0)",
            [],
            |row| row.get(0),
        )
        .optional()?;
    let newest = "SELECT at, status, took_ms, note FROM attempt ORDER BY at DESC LIMIT 1";
    let last_failure = connection.query_row(newest, [], super::log::attempt).optional()?;
    Ok(Backlog {
        ready: count("SELECT COUNT(*) FROM item INDEXED BY item_ready WHERE state = 0")?,
        rooms: count("SELECT COUNT(DISTINCT lane) FROM item INDEXED BY item_ready WHERE state = 0")?,
        oldest_ready,
        parked: count("SELECT COUNT(*) FROM item INDEXED BY item_parked WHERE state = 2")?,
        uploads: uploads::read::totals(connection)?,
        last_failure,
        bytes: super::prune::bytes_in_use(connection)?,
    })
}
