//! What an operator changes: parked items become ready again, or are given up.
//!
//! Both work on the file directly, whether or not the agent runs. What parked an item stays in the log as an attempt.

use rusqlite::{Connection, ToSql, Transaction, TransactionBehavior, params};

use super::log::{Choice, MATCHES};
use super::model::{Kind, Seq};
use super::uploads;

/// See [`super::log::DeliveryLog::retry`].
pub(super) fn retry(connection: &mut Connection, choice: &Choice<'_>) -> rusqlite::Result<usize> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut count = 0;
    for (seq, kind) in parked(&tx, choice)? {
        if kind == Kind::Unreadable {
            continue;
        }
        remember(&tx, seq)?;
        tx.prepare_cached(
            "UPDATE item SET state = 0, done_at = NULL, due_at = NULL, attempts = NULL, status = NULL, took_ms = NULL, note = NULL
             WHERE seq = ?1",
        )?
        .execute([seq])?;
        count += 1;
    }
    count += uploads::write::unpark(&tx, choice)?;
    // Whoever sends them again gives their rooms' meetings time to appear again.
    tx.execute("UPDATE lane SET no_meeting_since = NULL WHERE no_meeting_since IS NOT NULL", [])?;
    tx.commit()?;
    Ok(count)
}

/// See [`super::log::DeliveryLog::discard`].
pub(super) fn discard(
    connection: &mut Connection,
    choice: &Choice<'_>,
    why: &str,
    now: i64,
) -> rusqlite::Result<usize> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let parked = parked(&tx, choice)?;
    for (seq, _) in &parked {
        remember(&tx, *seq)?;
        tx.prepare_cached(
            "UPDATE item SET state = 3, done_at = ?2, status = NULL, took_ms = NULL, note = ?3 WHERE seq = ?1",
        )?
        .execute(params![seq, now, why])?;
    }
    tx.commit()?;
    Ok(parked.len())
}

/// The parked items that are meant.
fn parked(tx: &Transaction<'_>, choice: &Choice<'_>) -> rusqlite::Result<Vec<(Seq, Kind)>> {
    let mut found = Vec::new();
    let mut collect = |sql: &str, values: &[(&str, &dyn ToSql)]| -> rusqlite::Result<()> {
        let mut select = tx.prepare_cached(sql)?;
        let rows = select.query_map(values, |row| Ok((row.get(0)?, Kind::from_code(row.get(1)?))))?;
        for row in rows {
            found.push(row?);
        }
        Ok(())
    };
    match choice {
        Choice::Ids(ids) => {
            for id in ids.iter().collect::<std::collections::BTreeSet<_>>() {
                collect("SELECT seq, kind FROM item WHERE state = 2 AND id = :id", &[(":id", id)])?;
            }
        }
        Choice::Matching(filter) => {
            let sql = format!(
                "SELECT item.seq, item.kind FROM item LEFT JOIN lane ON lane.id = item.lane
                 WHERE item.state = 2 AND {MATCHES} ORDER BY item.seq"
            );
            let values = filter.values();
            let named: Vec<(&str, &dyn ToSql)> =
                values.iter().map(|(name, value)| (*name, value as _)).collect();
            collect(&sql, &named)?;
        }
    }
    Ok(found)
}

/// Writes down what parked an item as an attempt, because the item's own columns are about to say something else.
fn remember(tx: &Transaction<'_>, seq: Seq) -> rusqlite::Result<()> {
    tx.prepare_cached(
        "INSERT INTO attempt (lane, first_seq, last_seq, at, status, took_ms, note)
         SELECT lane, seq, seq, done_at, status, COALESCE(took_ms, 0), COALESCE(note, '') FROM item WHERE seq = ?1",
    )?
    .execute([seq])?;
    Ok(())
}
