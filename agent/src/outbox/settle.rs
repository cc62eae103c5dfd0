//! Write down what a request did: settle, park, or keep for later.

use rusqlite::{Connection, params};

use super::model::{Answer, Kept, LaneId};

/// Applies one answer.
pub(super) fn settle(connection: &Connection, answer: &Answer) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE item SET state = 1, done_at = ?2, status = ?3, took_ms = ?4 WHERE seq = ?1 AND state = 0",
    )?;
    for (seq, took_ms) in &answer.settled {
        update.execute(params![seq, answer.at, answer.status, took_ms])?;
    }
    let mut update = connection.prepare_cached(
        "UPDATE item SET state = 2, done_at = ?2, status = ?3, took_ms = ?4, note = ?5 WHERE seq = ?1 AND state = 0",
    )?;
    for (seq, note) in &answer.parked {
        update.execute(params![seq, answer.at, answer.status, answer.took_ms, note])?;
    }
    if let Some(kept) = &answer.kept {
        keep(connection, answer, kept)?;
    }
    Ok(())
}

fn keep(connection: &Connection, answer: &Answer, kept: &Kept) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE item SET due_at = ?2, attempts = ?3 WHERE seq = ?1 AND state = 0")?
        .execute(params![kept.first, kept.due_at, kept.attempts])?;
    connection
        .prepare_cached(
            "INSERT INTO attempt (lane, first_seq, last_seq, at, status, took_ms, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![answer.lane, kept.first, kept.last, answer.at, answer.status, answer.took_ms, kept.note])?;
    Ok(())
}

/// Makes parked items ready again: the ones named, or all of them. Unreadable lines stay parked: there is nothing to send.
pub(super) fn unpark(connection: &Connection, ids: Option<&[String]>) -> rusqlite::Result<Vec<LaneId>> {
    const ONE: &str =
        "UPDATE item SET state = 0, done_at = NULL, due_at = NULL, attempts = NULL, queued_at = ?1
         WHERE state = 2 AND kind <> 2 AND (?2 IS NULL OR id = ?2) RETURNING lane";
    let mut update = connection.prepare_cached(ONE)?;
    let now = crate::clock::now_ms();
    let mut lanes = Vec::new();
    let targets: Vec<Option<&String>> = ids.map_or(vec![None], |ids| ids.iter().map(Some).collect());
    for id in targets {
        for lane in update.query_map(params![now, id], |row| row.get(0))? {
            lanes.push(lane?);
        }
    }
    Ok(lanes)
}
