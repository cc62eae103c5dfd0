//! The delivery log: what operators read, from the outbox's file, whether or not the agent runs.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::model::{Kind, Seq, State};
use super::{DATABASE, LOCK, OutboxError, settle};

/// A read-only view of an outbox directory.
pub struct DeliveryLog {
    connection: Connection,
}

/// One item, as the log shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The item's address.
    pub seq: Seq,
    /// Its identity.
    pub id: String,
    /// Its room; empty for an unreadable line.
    pub room: String,
    /// Which request carries it.
    pub kind: Kind,
    /// Where it stands.
    pub state: State,
    /// When it was queued, in milliseconds since 1970.
    pub queued_at: i64,
    /// When it was settled or parked.
    pub done_at: Option<i64>,
    /// Not to be tried before this.
    pub due_at: Option<i64>,
    /// The HTTP status that settled or parked it.
    pub status: Option<u16>,
    /// How long that request took, in milliseconds.
    pub took_ms: Option<i64>,
    /// Requests that carried it so far.
    pub attempts: u64,
    /// Why it was parked, or what went wrong last.
    pub note: Option<String>,
    /// The file it was read from; `None` for recordings.
    pub file: Option<String>,
    /// The byte in that file.
    pub offset: u64,
    /// What was or will be sent.
    pub body: Vec<u8>,
}

/// A request that did not settle what it carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When its answer came, in milliseconds since 1970.
    pub at: i64,
    /// The HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// What went wrong.
    pub note: String,
}

/// Which items to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only items in this state.
    pub state: Option<State>,
    /// Only items of this room.
    pub room: Option<String>,
    /// Only items that were queued before this one: the next page.
    pub before: Option<Seq>,
    /// At most this many, the newest.
    pub limit: u32,
}

/// The outbox in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whether an agent has the outbox open.
    pub running: bool,
    /// Items to be delivered.
    pub ready: u64,
    /// Rooms that they belong to.
    pub rooms: u64,
    /// When the oldest of them was queued.
    pub oldest_ready: Option<i64>,
    /// Items that wait for a person.
    pub parked: u64,
    /// Settled items that the log still has.
    pub settled: u64,
    /// When the newest of them was settled.
    pub last_settled: Option<i64>,
    /// The last request that went wrong.
    pub last_failure: Option<Attempt>,
    /// Bytes in use.
    pub bytes: u64,
}

const COLUMNS: &str = "SELECT item.seq, item.id, COALESCE(lane.room, ''), item.kind, item.state, item.queued_at, item.done_at, item.due_at,
    item.status, item.took_ms,
    (SELECT COUNT(*) FROM attempt a WHERE a.lane = item.lane AND a.first_seq <= item.seq AND a.last_seq >= item.seq)
      + (item.status IS NOT NULL),
    COALESCE(item.note, (SELECT a.note FROM attempt a WHERE item.state = 0 AND a.lane = item.lane
        AND a.first_seq <= item.seq AND a.last_seq >= item.seq ORDER BY a.at DESC LIMIT 1)),
    cursor.path, item.offset, item.body
  FROM item LEFT JOIN lane ON lane.id = item.lane LEFT JOIN cursor ON cursor.file = item.file";

impl DeliveryLog {
    /// Opens the log of the outbox in `directory`, for reading.
    pub fn open(directory: &Path) -> Result<Self, OutboxError> {
        // Read-write without create: a reader of a write-ahead log must be able to take its shared lock.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let path = directory.join(DATABASE);
        // Somebody who may not look into the directory is told so, not that there is nothing.
        if !path.try_exists().map_err(|source| OutboxError::File { path: path.clone(), source })? {
            let source = std::io::Error::new(
                std::io::ErrorKind::NotFound,
                "there is no outbox here: has the agent run with this configuration?",
            );
            return Err(OutboxError::File { path, source });
        }
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        Ok(Self { connection })
    }

    /// The newest items that match, the newest first.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Delivery>, OutboxError> {
        let sql = format!(
            "{COLUMNS} WHERE (?1 IS NULL OR item.state = ?1) AND (?2 IS NULL OR lane.room = ?2)
             AND item.seq < ?4 ORDER BY item.seq DESC LIMIT ?3"
        );
        let mut select = self.connection.prepare(&sql)?;
        let before = filter.before.unwrap_or(Seq::MAX);
        let rows = select.query_map(
            params![filter.state.map(|s| s as i64), filter.room, filter.limit, before],
            delivery,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One item with every attempt to deliver it, the oldest first.
    pub fn show(&self, id: &str) -> Result<Option<(Delivery, Vec<Attempt>)>, OutboxError> {
        let sql = format!("{COLUMNS} WHERE item.id = ?1");
        let Some(item) = self.connection.query_row(&sql, [id], delivery).optional()? else { return Ok(None) };
        let mut select = self.connection.prepare(
            "SELECT at, status, took_ms, note FROM attempt WHERE lane = (SELECT lane FROM item WHERE seq = ?1)
             AND first_seq <= ?1 AND last_seq >= ?1 ORDER BY at",
        )?;
        let attempts = select.query_map([item.seq], attempt)?.collect::<Result<_, _>>()?;
        Ok(Some((item, attempts)))
    }

    /// Makes parked items ready again; the running agent notices within seconds. Returns how many.
    pub fn retry(&mut self, ids: Option<&[String]>) -> Result<usize, OutboxError> {
        Ok(settle::unpark(&mut self.connection, ids)?)
    }

    /// The outbox in numbers.
    pub fn summary(&self, directory: &Path) -> Result<Summary, OutboxError> {
        let one = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        let count = |sql: &str| one(sql).map(|n| n.unwrap_or(0).cast_unsigned());
        let last_failure = self
            .connection
            .query_row("SELECT at, status, took_ms, note FROM attempt ORDER BY at DESC LIMIT 1", [], attempt)
            .optional()?;
        Ok(Summary {
            running: is_running(directory),
            ready: count("SELECT COUNT(*) FROM item INDEXED BY item_ready WHERE state = 0")?,
            rooms: count("SELECT COUNT(DISTINCT lane) FROM item INDEXED BY item_ready WHERE state = 0")?,
            oldest_ready: one("SELECT MIN(queued_at) FROM item WHERE state = 0")?,
            parked: count("SELECT COUNT(*) FROM item INDEXED BY item_parked WHERE state = 2")?,
            settled: count("SELECT COUNT(*) FROM item WHERE state = 1")?,
            last_settled: one("SELECT MAX(done_at) FROM item WHERE state = 1")?,
            last_failure,
            bytes: super::prune::bytes_in_use(&self.connection)?,
        })
    }
}

/// An agent is running if somebody holds its lock.
fn is_running(directory: &Path) -> bool {
    let lock = std::fs::File::options().write(true).open(directory.join(LOCK));
    lock.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        seq: row.get(0)?,
        id: row.get(1)?,
        room: row.get(2)?,
        kind: Kind::from_code(row.get(3)?),
        state: State::from_code(row.get(4)?),
        queued_at: row.get(5)?,
        done_at: row.get(6)?,
        due_at: row.get(7)?,
        status: row.get(8)?,
        took_ms: row.get(9)?,
        attempts: row.get::<_, i64>(10)?.cast_unsigned(),
        note: row.get(11)?,
        file: row.get(12)?,
        offset: row.get::<_, i64>(13)?.cast_unsigned(),
        body: row.get(14)?,
    })
}

fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt { at: row.get(0)?, status: row.get(1)?, took_ms: row.get(2)?, note: row.get(3)? })
}
