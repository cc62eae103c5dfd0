//! Keep the outbox small: forget what the API has held for long enough.

use std::path::Path;

use rusqlite::Connection;

use super::model::Seq;
use super::uploads;

/// How many rows one step looks at, so that a delivery never waits long for a prune.
const STEP: i64 = 500;

/// Where a prune stands between two steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// Rows after this one are still to be looked at.
    After(Seq),
    /// Nothing further can be pruned now.
    Done,
}

/// Deletes settled and discarded items that were done before `cutoff`, looking at [`STEP`] rows after `position`.
///
/// Items are looked at in the order of queuing, and an item is never done before it was queued, so a whole step without an
/// item that was queued before `cutoff` ends the search. The newest item always stays: the next one's `seq` is counted from it.
pub(super) fn prune_items(connection: &Connection, position: Seq, cutoff: i64) -> rusqlite::Result<Position> {
    let mut select = connection.prepare_cached(
        "SELECT seq, queued_at, state IN (1, 3) AND done_at < ?2 FROM item
         WHERE seq > ?1 AND seq < (SELECT MAX(seq) FROM item) ORDER BY seq LIMIT ?3",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM item WHERE seq = ?1")?;
    let mut rows = select.query((position, cutoff, STEP))?;
    let (mut last, mut seen, mut any_old, mut old) = (position, 0, false, Vec::new());
    while let Some(row) = rows.next()? {
        any_old |= row.get::<_, i64>(1)? < cutoff;
        last = row.get(0)?;
        seen += 1;
        if row.get(2)? {
            old.push(last);
        }
    }
    drop(rows);
    for seq in old {
        delete.execute([seq])?;
    }
    Ok(if seen == STEP && any_old { Position::After(last) } else { Position::Done })
}

/// Forgets attempts that are old, cursors of files that are gone, and rooms in which nothing has happened for so long that
/// no item of theirs is left.
pub(super) fn prune_rest(connection: &Connection, cutoff: i64, now: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM attempt WHERE at < ?1", [cutoff])?;
    uploads::write::prune(connection, cutoff)?;
    let mut select = connection.prepare_cached("SELECT file, path FROM cursor WHERE seen_at < ?1")?;
    let old: Vec<(i64, String)> =
        select.query_map([cutoff], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (file, _) in old.iter().filter(|(_, path)| !Path::new(path).exists()) {
        connection.execute(
            "DELETE FROM cursor WHERE file = ?1 AND file NOT IN (SELECT file FROM item INDEXED BY item_parked WHERE state = 2)",
            [file],
        )?;
    }
    // An item may have waited as long as it is then remembered, so a room stays for twice that time.
    connection.execute(
        "DELETE FROM lane WHERE queued_at < ?1
           AND id NOT IN (SELECT lane FROM item INDEXED BY item_ready WHERE state = 0)
           AND id NOT IN (SELECT lane FROM item INDEXED BY item_parked WHERE state = 2)",
        [cutoff - (now - cutoff)],
    )?;
    Ok(())
}

/// The bytes in use: pages that hold something, not the file's length.
pub(super) fn bytes_in_use(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).cast_unsigned())
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::super::model::{Answer, Kind, Meeting, State};
    use super::super::uploads::read::confirmed;
    use super::super::{schema, settle};
    use super::*;

    /// An empty outbox in memory.
    fn outbox() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        connection
    }

    fn uploaded(connection: &Connection, id: &str, state: i64, removed_at: Option<i64>) {
        let sql = "INSERT INTO upload (id, room, path, ino, size, modified, sha256, notice, state, queued_at, due_at,
               attempts, restarts, sent_bytes, done_at, removed_at)
             VALUES (?1, 'a', CAST('/nowhere/' || ?1 AS BLOB), 1, 1, 1, '', x'', ?2, 1, 0, 0, 0, 1, 1, ?3)";
        connection.execute(sql, params![id, state, removed_at]).unwrap();
    }

    fn told(connection: &Connection, id: &str, state: State) -> Seq {
        let sql = "INSERT INTO item (id, lane, kind, state, queued_at, file, offset, body, done_at)
             VALUES (?1, 1, ?2, ?3, 1, 0, 0, x'', 1)";
        connection.execute(sql, params![id, Kind::Recording as i64, state as i64]).unwrap();
        connection.last_insert_rowid()
    }

    #[test]
    fn the_proof_of_a_file_that_cannot_be_seen_stays_until_the_file_was_removed() {
        let connection = outbox();
        for (id, state, removed_at) in [
            ("away", 3, None),
            ("removed", 3, Some(9)),
            ("just-removed", 3, Some(10)),
            ("kept", 4, None),
            ("given-up", 5, None),
            ("parked", 6, None),
        ] {
            uploaded(&connection, id, state, removed_at);
        }
        prune_rest(&connection, 10, 20).unwrap();
        let mut select = connection.prepare("SELECT id FROM upload ORDER BY seq").unwrap();
        let left: Vec<String> =
            select.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(left, ["away", "just-removed", "parked"]);
    }

    #[test]
    fn a_notice_counts_as_settled_only_if_the_api_took_it_also_once_it_is_pruned() {
        let connection = outbox();
        for id in ["taken", "discarded"] {
            uploaded(&connection, id, 3, None);
        }
        let seq = told(&connection, "taken", State::Ready);
        told(&connection, "discarded", State::Discarded);
        told(&connection, "last", State::Ready);
        let answer = Answer {
            lane: 1,
            at: 5,
            status: Some(200),
            took_ms: 1,
            settled: vec![(seq, 1)],
            parked: Vec::new(),
            kept: None,
            meeting: Meeting::Unchanged,
        };
        settle::settle(&connection, &answer).unwrap();
        let settled = || -> Vec<(String, bool)> {
            let confirmed = confirmed(&connection).unwrap();
            confirmed.into_iter().map(|recording| (recording.id, recording.notice_is_settled)).collect()
        };
        let expected = [("taken".to_owned(), true), ("discarded".to_owned(), false)];
        assert_eq!(settled(), expected);
        prune_items(&connection, 0, 10).unwrap();
        let items: i64 = connection.query_row("SELECT COUNT(*) FROM item", [], |row| row.get(0)).unwrap();
        assert_eq!(items, 1, "both are pruned");
        assert_eq!(settled(), expected);
    }
}
