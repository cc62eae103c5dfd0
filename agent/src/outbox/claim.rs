//! Find what is to be delivered next.

use rusqlite::{Connection, OptionalExtension, params};

use super::model::{Claimed, Kind, LaneId, Seq, Waiting};

/// See [`super::Reader::waiting`].
pub(super) fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting>> {
    let mut select = connection.prepare_cached(
        "SELECT item.lane, item.seq, item.due_at, item.attempts FROM lane JOIN item ON item.seq =
           (SELECT seq FROM item INDEXED BY item_ready WHERE item.lane = lane.id AND state = 0 ORDER BY seq LIMIT 1)
         ORDER BY item.seq",
    )?;
    let rows = select.query_map([], |row| {
        Ok(Waiting {
            lane: row.get(0)?,
            first: row.get(1)?,
            due_at: row.get::<_, Option<i64>>(2)?.unwrap_or(0),
            attempts: row.get::<_, Option<u32>>(3)?.unwrap_or(0),
        })
    })?;
    rows.collect()
}

/// See [`super::Reader::room`].
pub(super) fn room(connection: &Connection, lane: LaneId) -> rusqlite::Result<Option<String>> {
    let mut select = connection.prepare_cached("SELECT room FROM lane WHERE id = ?1")?;
    select.query_row([lane], |row| row.get(0)).optional()
}

/// See [`super::Reader::claim`].
pub(super) fn claim(
    connection: &Connection,
    lane: LaneId,
    after: Seq,
    events: usize,
    bytes: usize,
) -> rusqlite::Result<Vec<Claimed>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, id, kind, max(queued_at, (SELECT no_meeting_since FROM lane WHERE lane.id = ?1)), body
         FROM item INDEXED BY item_ready
         WHERE lane = ?1 AND state = 0 AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = select.query(params![lane, after, i64::try_from(events).unwrap_or(i64::MAX)])?;
    let mut claimed: Vec<Claimed> = Vec::new();
    let mut size = 0;
    while let Some(row) = rows.next()? {
        let item = Claimed {
            seq: row.get(0)?,
            id: row.get(1)?,
            kind: Kind::from_code(row.get(2)?),
            waits_since: row.get(3)?,
            body: row.get::<_, Vec<u8>>(4)?.into(),
        };
        size += item.body.len() + 1;
        if let Some(first) = claimed.first()
            && (first.kind == Kind::Recording || first.kind != item.kind || size > bytes)
        {
            break;
        }
        claimed.push(item);
    }
    Ok(claimed)
}
