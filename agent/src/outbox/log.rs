//! The delivery log: what operators read, from the outbox's file, whether or not the agent runs.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, ToSql};

use super::model::{Cursor, Kind, Seq, State};
use super::{DATABASE, LOCK, OutboxError, append, operator, schema};

/// A read-only view of an outbox directory.
pub struct DeliveryLog {
    pub(super) connection: Connection,
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

/// Which items are meant.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only items in this state.
    pub state: Option<State>,
    /// Only items of this room.
    pub room: Option<String>,
    /// Only items of this kind.
    pub kind: Option<Kind>,
    /// Only items that were queued at this time or later, in milliseconds since 1970.
    pub since: Option<i64>,
    /// Only items that were queued before this time.
    pub until: Option<i64>,
    /// Only items that were answered with this HTTP status at least once.
    pub status: Option<u16>,
}

/// What an operator's change is about.
#[derive(Debug, Clone)]
pub enum Choice<'a> {
    /// The items with these ids.
    Ids(&'a [String]),
    /// Every item that matches, whatever its state.
    Matching(&'a Filter),
}

/// The outbox in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Whether an agent has the outbox open; `None` if this user may not tell.
    pub running: Option<bool>,
    /// Items to be delivered.
    pub ready: u64,
    /// Rooms that they belong to.
    pub rooms: u64,
    /// When the oldest of them was queued.
    pub oldest_ready: Option<i64>,
    /// Items that wait for a person.
    pub parked: u64,
    /// Items that were delivered since the outbox was made.
    pub delivered: u64,
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

/// What a [`Filter`] means, over `item` joined with `lane`.
pub(super) const MATCHES: &str = "(:state IS NULL OR item.state = :state) AND (:room IS NULL OR lane.room = :room)
  AND (:kind IS NULL OR item.kind = :kind) AND (:since IS NULL OR item.queued_at >= :since)
  AND (:until IS NULL OR item.queued_at < :until)
  AND (:status IS NULL OR item.status = :status OR EXISTS (SELECT 1 FROM attempt a
       WHERE a.lane = item.lane AND a.first_seq <= item.seq AND a.last_seq >= item.seq AND a.status = :status))";

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
                "there is no outbox here: the agent has not run yet with this configuration; if it is not set up either, `sudo reflector-agent setup`",
            );
            return Err(OutboxError::File { path, source });
        }
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(std::time::Duration::from_secs(10))?;
        schema::keep_log(&connection)?;
        Ok(Self { connection })
    }

    /// A page of at most `limit` items that match, the newest first: the first page, or the one behind the item `behind`.
    pub fn list(
        &self,
        filter: &Filter,
        behind: Option<Seq>,
        limit: u32,
    ) -> Result<Vec<Delivery>, OutboxError> {
        let sql =
            format!("{COLUMNS} WHERE {MATCHES} AND item.seq < :behind ORDER BY item.seq DESC LIMIT :limit");
        let behind = behind.unwrap_or(Seq::MAX);
        self.page(&sql, filter, &[(":behind", &behind), (":limit", &limit)])
    }

    /// The same, the oldest first.
    pub fn list_oldest(
        &self,
        filter: &Filter,
        behind: Option<Seq>,
        limit: u32,
    ) -> Result<Vec<Delivery>, OutboxError> {
        let sql = format!("{COLUMNS} WHERE {MATCHES} AND item.seq > :behind ORDER BY item.seq LIMIT :limit");
        let behind = behind.unwrap_or(0);
        self.page(&sql, filter, &[(":behind", &behind), (":limit", &limit)])
    }

    fn page(
        &self,
        sql: &str,
        filter: &Filter,
        more: &[(&str, &dyn ToSql)],
    ) -> Result<Vec<Delivery>, OutboxError> {
        let mut select = self.connection.prepare_cached(sql)?;
        let values = filter.values();
        let mut named: Vec<(&str, &dyn ToSql)> =
            values.iter().map(|(name, value)| (*name, value as _)).collect();
        named.extend_from_slice(more);
        let rows = select.query_map(named.as_slice(), delivery)?;
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

    /// Makes parked items ready again; the running agent notices within seconds. Lines that are no events stay parked:
    /// there is nothing to send. Returns how many items are ready again.
    pub fn retry(&mut self, choice: &Choice<'_>) -> Result<usize, OutboxError> {
        Ok(operator::retry(&mut self.connection, choice)?)
    }

    /// Gives parked items up, for good: they stay in the log as long as delivered ones, with `why` beside what parked
    /// them, and the files that they came from need not be kept any more. Returns how many.
    pub fn discard(&mut self, choice: &Choice<'_>, why: &str, now: i64) -> Result<usize, OutboxError> {
        Ok(operator::discard(&mut self.connection, choice, why, now)?)
    }

    /// How far each spool file has been read.
    pub fn cursors(&self) -> Result<Vec<Cursor>, OutboxError> {
        Ok(append::cursors(&self.connection)?)
    }

    /// How many items were delivered since the outbox was made, when so many are ready and parked.
    pub fn delivered(&self, ready: u64, parked: u64) -> Result<u64, OutboxError> {
        // Items are numbered without gaps, and the newest one is never forgotten.
        let sql = "SELECT COALESCE(MAX(seq), 0) - (SELECT COUNT(*) FROM item WHERE state = 3) FROM item";
        let gone: i64 = self.connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(gone.cast_unsigned().saturating_sub(ready + parked))
    }

    /// How many bytes the bodies of the ready items have, when there are so many: counted for a few hundred of them, and
    /// reckoned for the rest.
    pub fn ready_bytes(&self, ready: u64) -> Result<u64, OutboxError> {
        let sql = "SELECT COUNT(*), COALESCE(SUM(LENGTH(body)), 0) FROM item
          WHERE seq IN (SELECT seq FROM item INDEXED BY item_ready WHERE state = 0 LIMIT 300)";
        let (counted, bytes) = self.connection.prepare_cached(sql)?.query_row([], |row| {
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
        })?;
        Ok(if ready <= counted { bytes } else { bytes / counted.max(1) * ready })
    }

    /// The outbox in numbers.
    pub fn summary(&self, directory: &Path) -> Result<Summary, OutboxError> {
        let one = |sql: &str| {
            let mut select = self.connection.prepare_cached(sql)?;
            select.query_row([], |row| row.get::<_, Option<i64>>(0))
        };
        let count = |sql: &str| one(sql).map(|n| n.unwrap_or(0).cast_unsigned());
        let last_failure = self
            .connection
            .query_row("SELECT at, status, took_ms, note FROM attempt ORDER BY at DESC LIMIT 1", [], attempt)
            .optional()?;
        let ready = count("SELECT COUNT(*) FROM item INDEXED BY item_ready WHERE state = 0")?;
        let parked = count("SELECT COUNT(*) FROM item INDEXED BY item_parked WHERE state = 2")?;
        Ok(Summary {
            running: is_held(std::fs::File::open(directory.join(LOCK))),
            ready,
            rooms: count(
                "SELECT COUNT(*) FROM lane WHERE EXISTS
                   (SELECT 1 FROM item INDEXED BY item_ready WHERE item.lane = lane.id AND state = 0)",
            )?,
            oldest_ready: one(
                "SELECT MIN(queued_at) FROM item WHERE seq IN
                   (SELECT (SELECT MIN(seq) FROM item INDEXED BY item_ready WHERE item.lane = lane.id AND state = 0) FROM lane)",
            )?,
            parked,
            delivered: self.delivered(ready, parked)?,
            // Looked for where it must be, because a look at every item takes long when there are a million: among the
            // newest, and just before the first that waits.
            last_settled: one(
                "SELECT MAX(done_at) FROM item WHERE state = 1 AND (seq > (SELECT MAX(seq) FROM item) - 2000
                   OR seq BETWEEN (SELECT MIN(seq) FROM item INDEXED BY item_ready WHERE state = 0) - 500
                   AND (SELECT MIN(seq) FROM item INDEXED BY item_ready WHERE state = 0))",
            )?,
            last_failure,
            bytes: super::prune::bytes_in_use(&self.connection)?,
        })
    }
}

impl Filter {
    /// The values that [`MATCHES`] names.
    pub(super) fn values(&self) -> [(&'static str, Value); 6] {
        let integer = |value: Option<i64>| value.map_or(Value::Null, Value::Integer);
        [
            (":state", integer(self.state.map(|state| state as i64))),
            (":room", self.room.clone().map_or(Value::Null, Value::Text)),
            (":kind", integer(self.kind.map(|kind| kind as i64))),
            (":since", integer(self.since)),
            (":until", integer(self.until)),
            (":status", integer(self.status.map(i64::from))),
        ]
    }
}

/// An agent is running if somebody holds its lock. Whoever may not open the lock cannot tell.
fn is_held(lock: std::io::Result<std::fs::File>) -> Option<bool> {
    match lock {
        Ok(file) => Some(matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock))),
        Err(error) => (error.kind() != std::io::ErrorKind::PermissionDenied).then_some(false),
    }
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

pub(super) fn attempt(row: &Row<'_>) -> rusqlite::Result<Attempt> {
    Ok(Attempt { at: row.get(0)?, status: row.get(1)?, took_ms: row.get(2)?, note: row.get(3)? })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn only_who_may_open_the_lock_can_tell_whether_an_agent_runs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCK);
        assert_eq!(is_held(File::open(&path)), Some(false), "no agent was ever here");
        let agents = File::create(&path).unwrap();
        assert_eq!(is_held(File::open(&path)), Some(false), "it has ended");
        agents.lock().unwrap();
        assert_eq!(is_held(File::open(&path)), Some(true));
        assert_eq!(is_held(Err(ErrorKind::PermissionDenied.into())), None);
    }
}
