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
    /// When the oldest of them was queued that does not wait for its meeting, in milliseconds since 1970.
    pub oldest_ready: Option<i64>,
    /// How many of them wait for a meeting: the API has said that it knows none for their room.
    pub awaiting_meeting: u64,
    /// Rooms that those belong to.
    pub rooms_awaiting_meeting: u64,
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

/// The lanes that wait for their meeting. What came into a lane after the API's word, and was not tried since, may have one.
const AWAIT_MEETING: &str = "SELECT id FROM lane WHERE no_meeting_since IS NOT NULL
  AND (SELECT due_at FROM item INDEXED BY item_ready WHERE item.lane = lane.id AND state = 0 ORDER BY seq LIMIT 1) IS NOT NULL";

fn read(connection: &Connection) -> rusqlite::Result<Backlog> {
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned);
    // Items are queued in the order of their numbers.
    let oldest_ready = connection
        .query_row(
            &format!(
                "SELECT queued_at FROM item WHERE seq = (SELECT MIN(seq) FROM item INDEXED BY item_ready
                   WHERE state = 0 AND lane NOT IN ({AWAIT_MEETING}))"
            ),
            [],
            |row| row.get(0),
        )
        .optional()?;
    let awaiting = |what: &str| {
        count(&format!(
            "SELECT COUNT({what}) FROM item INDEXED BY item_ready WHERE state = 0 AND lane IN ({AWAIT_MEETING})"
        ))
    };
    let newest = "SELECT at, status, took_ms, note FROM attempt ORDER BY at DESC LIMIT 1";
    let last_failure = connection.query_row(newest, [], super::log::attempt).optional()?;
    Ok(Backlog {
        ready: count("SELECT COUNT(*) FROM item INDEXED BY item_ready WHERE state = 0")?,
        rooms: count("SELECT COUNT(DISTINCT lane) FROM item INDEXED BY item_ready WHERE state = 0")?,
        oldest_ready,
        awaiting_meeting: awaiting("*")?,
        rooms_awaiting_meeting: awaiting("DISTINCT lane")?,
        parked: count("SELECT COUNT(*) FROM item INDEXED BY item_parked WHERE state = 2")?,
        uploads: uploads::read::totals(connection)?,
        last_failure,
        bytes: super::prune::bytes_in_use(connection)?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::outbox::model::{Answer, Kept, Kind, Meeting, NewItem, Progress};
    use crate::outbox::{Limits, Outbox, Reader};

    #[test]
    fn a_room_that_waits_for_its_meeting_is_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        let with = |act: &dyn Fn(&Outbox)| {
            let limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };
            let (writer, _) = Outbox::open(directory.path(), limits).unwrap();
            act(&writer.outbox());
            // A closed outbox has written down what it was told.
            writer.close();
        };
        let queue = |id: &str, room: &str| {
            let item = NewItem {
                id: contract::id::EventId::of_body(id.as_bytes()),
                room: room.to_owned(),
                kind: Kind::Event,
                body: id.as_bytes().to_vec(),
                offset: 0,
                parked: None,
            };
            with(&|outbox| {
                outbox.append(std::slice::from_ref(&item), &Progress::Posted).unwrap();
            });
        };
        let answer = |meeting, settles: bool| {
            let first = Reader::open(directory.path()).unwrap().waiting().unwrap()[0];
            let kept =
                Kept { first: first.first, last: first.first, due_at: 1, attempts: 1, note: String::new() };
            let answer = Answer {
                lane: first.lane,
                at: 1,
                status: Some(404),
                took_ms: 1,
                settled: if settles { vec![(first.first, 1)] } else { Vec::new() },
                parked: Vec::new(),
                kept: (!settles).then_some(kept),
                meeting,
            };
            with(&|outbox| outbox.settle(answer.clone()));
        };
        let read = || {
            let found = DeliveryLog::open(directory.path()).unwrap().backlog().unwrap();
            (found.ready, found.awaiting_meeting, found.rooms_awaiting_meeting, found.oldest_ready.is_some())
        };
        queue("1", "unknown");
        queue("2", "unknown");
        assert_eq!(read(), (2, 0, 0, true), "nobody has said yet that there is no meeting");
        answer(Meeting::Missing, false);
        assert_eq!(read(), (2, 2, 1, false));
        queue("3", "known");
        assert_eq!(read(), (3, 2, 1, true), "another room waits for the API");
        answer(Meeting::Unchanged, true);
        assert_eq!(read(), (2, 0, 0, true), "what comes next has not been tried");
    }
}
