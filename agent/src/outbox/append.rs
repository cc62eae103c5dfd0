//! Queue what a source has read, and move its cursor, in one transaction.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::model::{Cursor, LaneId, NewItem, Progress, State};

/// Adds the items that are not there yet. Returns the lanes that have something new to deliver, and the cursor's number.
pub(super) fn append(
    connection: &Connection,
    items: &[NewItem],
    progress: &Progress,
    now: i64,
    touched: &mut Vec<LaneId>,
) -> rusqlite::Result<i64> {
    let file = match progress {
        Progress::Spool(cursor) => save_cursor(connection, cursor, now)?,
        Progress::Recording { path } => {
            for item in items {
                connection
                    .prepare_cached(
                        "INSERT OR IGNORE INTO recording (id, path, released) VALUES (?1, ?2, ?3)",
                    )?
                    // A person has to look at what is parked, and perhaps at its file.
                    .execute(params![item.id.as_str(), path, item.parked.is_none()])?;
            }
            0
        }
        Progress::Posted => 0,
    };
    let mut insert = connection.prepare_cached(
        "INSERT OR IGNORE INTO item (id, lane, kind, state, queued_at, file, offset, body, done_at, note)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
    )?;
    let mut lane: Option<(&str, LaneId)> = None;
    for item in items {
        let id = match lane {
            Some((room, id)) if room == item.room => id,
            _ => lane_of(connection, &item.room, now)?,
        };
        lane = Some((&item.room, id));
        if insert_item(&mut insert, item, id, file, now)? && item.parked.is_none() && !touched.contains(&id) {
            touched.push(id);
        }
    }
    Ok(file)
}

fn insert_item(
    insert: &mut CachedStatement<'_>,
    item: &NewItem,
    lane: LaneId,
    file: i64,
    now: i64,
) -> rusqlite::Result<bool> {
    let state = if item.parked.is_some() { State::Parked } else { State::Ready };
    let inserted = insert.execute(params![
        item.id.as_str(),
        lane,
        item.kind as i64,
        state as i64,
        now,
        file,
        i64::try_from(item.offset).unwrap_or(i64::MAX),
        item.body,
        item.parked.as_ref().map(|_| now),
        item.parked,
    ])?;
    Ok(inserted == 1)
}

/// The room's lane. When something was queued last is noted once an hour, which is exact enough to forget rooms by.
fn lane_of(connection: &Connection, room: &str, now: i64) -> rusqlite::Result<LaneId> {
    const HOUR: i64 = 3_600_000;
    let mut select = connection.prepare_cached("SELECT id, queued_at FROM lane WHERE room = ?1")?;
    let known: Option<(LaneId, i64)> =
        select.query_row([room], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    match known {
        Some((id, noted)) if (noted..noted + HOUR).contains(&now) => Ok(id),
        Some((id, _)) => {
            connection.prepare_cached("UPDATE lane SET queued_at = ?2 WHERE id = ?1")?.execute((id, now))?;
            Ok(id)
        }
        None => {
            connection
                .prepare_cached("INSERT INTO lane (room, queued_at) VALUES (?1, ?2)")?
                .execute((room, now))?;
            Ok(connection.last_insert_rowid())
        }
    }
}

/// Stores the cursor under its number, or under a new one. A number whose row was pruned is stored again.
fn save_cursor(connection: &Connection, cursor: &Cursor, now: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO cursor (file, path, dev, ino, head, offset, guard, seen_at)
             VALUES (NULLIF(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (file) DO UPDATE SET path = excluded.path, head = excluded.head, offset = excluded.offset,
               guard = excluded.guard, seen_at = excluded.seen_at
             RETURNING file",
        )?
        .query_row(
            params![
                cursor.file,
                cursor.path,
                cursor.identity.0.cast_signed(),
                cursor.identity.1.cast_signed(),
                cursor.head,
                i64::try_from(cursor.offset).unwrap_or(i64::MAX),
                cursor.guard,
                now
            ],
            |row| row.get(0),
        )
}

/// Every stored cursor, newest first, so that the latest life of a reused inode is found first.
pub(super) fn cursors(connection: &Connection) -> rusqlite::Result<Vec<Cursor>> {
    let mut select = connection.prepare_cached(
        "SELECT file, path, dev, ino, head, offset, guard FROM cursor ORDER BY seen_at DESC, file DESC",
    )?;
    let rows = select.query_map([], |row| {
        Ok(Cursor {
            file: row.get(0)?,
            path: row.get(1)?,
            identity: (row.get::<_, i64>(2)?.cast_unsigned(), row.get::<_, i64>(3)?.cast_unsigned()),
            head: row.get(4)?,
            offset: row.get::<_, i64>(5)?.cast_unsigned(),
            guard: row.get(6)?,
        })
    })?;
    rows.collect()
}

/// Whether a recording was queued before, whatever became of its item.
pub(super) fn recording_is_queued(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM recording WHERE id = ?1")?.exists([id])
}

/// Whether a line of this file is parked, so that the file is the only whole copy of it.
pub(super) fn has_parked_lines(connection: &Connection, file: i64) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM item WHERE state = 2 AND file = ?1")?.exists([file])
}
