//! What the database needs now and then: forgetting, folding in its log, noticing an operator's change.

use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::prune::{self, Position};
use crate::chain::Chain;
use crate::clock::now_ms;

/// How often to forget what is old.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// The log is folded into the database when it has this many pages; in a quiet moment, when it has [`FOLD_QUIETLY`].
///
/// Not after every event: the first commit after a fold costs one flush more, and a log that is used again from its
/// start is cheaper to flush than one that grows.
const FOLD_NOW: i64 = 4000;
const FOLD_QUIETLY: i64 = 1000;

pub(super) struct Upkeep {
    keep_settled: Duration,
    /// Pages written since the log was folded in, roughly.
    unfolded: i64,
    /// `SQLite`'s own counter of changes by other connections.
    version: i64,
    pruned_at: Instant,
    position: Position,
}

impl Upkeep {
    pub(super) fn new(connection: &Connection, keep_settled: Duration) -> Self {
        let version = data_version(connection).unwrap_or(0);
        Self { keep_settled, unfolded: 1, version, pruned_at: Instant::now(), position: Position::Done }
    }

    /// So many pages were written, roughly.
    pub(super) fn wrote(&mut self, pages: i64, connection: &Connection) {
        self.unfolded = self.unfolded.saturating_add(pages);
        if self.unfolded >= FOLD_NOW {
            self.fold(connection, "PASSIVE");
        }
    }

    /// In a quiet moment.
    pub(super) fn fold_quietly(&mut self, connection: &Connection) {
        if self.unfolded >= FOLD_QUIETLY {
            self.fold(connection, "PASSIVE");
        }
    }

    /// Folds the log into the database, so that the log's file is used again from its start instead of growing.
    pub(super) fn fold(&mut self, connection: &Connection, mode: &str) {
        match connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(())) {
            Ok(()) => self.unfolded = 0,
            Err(error) => {
                tracing::warn!(error = %Chain(&error), "the outbox's log could not be folded in; tried again later");
            }
        }
    }

    /// Forgets a step's worth of what is old when it is time to. Returns whether another process changed the outbox: an
    /// operator's `deliveries retry` works on the file directly, and `SQLite` counts such changes for us.
    pub(super) fn look(&mut self, connection: &mut Connection) -> bool {
        if self.pruned_at.elapsed() >= PRUNE_EVERY {
            self.pruned_at = Instant::now();
            self.position = Position::After(0);
        }
        if let Position::After(seq) = self.position
            && let Err(error) = self.prune(connection, seq)
        {
            tracing::warn!(error = %Chain(&error), "old deliveries could not be pruned; tried again later");
            self.position = Position::Done;
        }
        let version = data_version(connection).unwrap_or(self.version);
        std::mem::replace(&mut self.version, version) != version
    }

    fn prune(&mut self, connection: &mut Connection, after: i64) -> rusqlite::Result<()> {
        let now = now_ms();
        let cutoff = now.saturating_sub(i64::try_from(self.keep_settled.as_millis()).unwrap_or(i64::MAX));
        self.position = prune_step(connection, after, cutoff)?;
        if self.position == Position::Done {
            prune::prune_rest(connection, cutoff, now)?;
        }
        Ok(())
    }

    /// Forgets settled items, the oldest first, until `enough` says so or none is left.
    pub(super) fn prune_until(connection: &mut Connection, enough: impl Fn(&Connection) -> bool) {
        let mut position = Position::After(0);
        while let Position::After(seq) = position
            && !enough(connection)
        {
            match prune_step(connection, seq, i64::MAX) {
                Ok(next) => position = next,
                Err(_) => break,
            }
        }
    }
}

fn prune_step(connection: &mut Connection, after: i64, cutoff: i64) -> rusqlite::Result<Position> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let position = prune::prune_items(&tx, after, cutoff)?;
    tx.commit()?;
    Ok(position)
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}
