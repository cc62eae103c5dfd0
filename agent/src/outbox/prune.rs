//! Keep the outbox small: forget what the API has held for long enough.

use rusqlite::Connection;

use super::model::Seq;

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

/// Deletes settled items that were done before `cutoff`, looking at [`STEP`] rows after `position`.
///
/// Items are looked at in the order of queuing, and an item is never done before it was queued, so the first one that
/// was queued after `cutoff` ends the search. The newest item always stays: the next one's `seq` is counted from it.
pub(super) fn prune_items(connection: &Connection, position: Seq, cutoff: i64) -> rusqlite::Result<Position> {
    let mut select = connection.prepare_cached(
        "SELECT seq, queued_at, state = 1 AND done_at < ?2 FROM item
         WHERE seq > ?1 AND seq < (SELECT MAX(seq) FROM item) ORDER BY seq LIMIT ?3",
    )?;
    let mut delete = connection.prepare_cached("DELETE FROM item WHERE seq = ?1")?;
    let mut rows = select.query((position, cutoff, STEP))?;
    let (mut last, mut seen, mut old) = (position, 0, Vec::new());
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= cutoff {
            seen = 0;
            break;
        }
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
    Ok(if seen == STEP { Position::After(last) } else { Position::Done })
}

/// Forgets attempts, cursors, recordings and lanes that nothing refers to any more.
pub(super) fn prune_rest(connection: &Connection, cutoff: i64) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM attempt WHERE at < ?1", [cutoff])?;
    connection.execute(
        "DELETE FROM cursor WHERE seen_at < ?1 AND NOT EXISTS (SELECT 1 FROM item WHERE item.state = 2 AND item.file = cursor.file)",
        [cutoff],
    )?;
    connection.execute("DELETE FROM lane WHERE id NOT IN (SELECT lane FROM item)", [])?;
    Ok(())
}

/// The bytes in use: pages that hold something, not the file's length.
pub(super) fn bytes_in_use(connection: &Connection) -> rusqlite::Result<u64> {
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let pages = pragma("page_count")? - pragma("freelist_count")?;
    Ok((pages * pragma("page_size")?).cast_unsigned())
}
