//! Write down what a request did: settle, park, or keep for later.

use rusqlite::{Connection, params};

use super::model::{Answer, Kept, Kind, Meeting};

/// Applies one answer.
pub(super) fn settle(connection: &Connection, answer: &Answer) -> rusqlite::Result<()> {
    let mut update = connection.prepare_cached(
        "UPDATE item SET state = 1, done_at = ?2, status = ?3, took_ms = ?4 WHERE seq = ?1 AND state = 0",
    )?;
    for (seq, took_ms) in &answer.settled {
        update.execute(params![seq, answer.at, answer.status, took_ms])?;
    }
    // A recording is delivered alone.
    if let [(seq, _)] = answer.settled[..] {
        connection
            .prepare_cached(
                "UPDATE upload SET settled_at = ?2 WHERE id = (SELECT id FROM item WHERE seq = ?1 AND kind = ?3 AND state = 1)",
            )?
            .execute(params![seq, answer.at, Kind::Recording as i64])?;
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
    note_meeting(connection, answer)
}

fn note_meeting(connection: &Connection, answer: &Answer) -> rusqlite::Result<()> {
    let sql = match answer.meeting {
        Meeting::Unchanged => return Ok(()),
        Meeting::Missing => "UPDATE lane SET no_meeting_since = COALESCE(no_meeting_since, ?2) WHERE id = ?1",
        Meeting::Found => "UPDATE lane SET no_meeting_since = NULL WHERE id = ?1 AND ?2 IS NOT NULL",
    };
    connection.prepare_cached(sql)?.execute(params![answer.lane, answer.at])?;
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
