//! The one writing connection: commits, and tells the delivery and the upload loop what is new.

use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc::UnboundedSender;

use super::model::{Answer, LaneId, NewItem, Progress};
use super::upkeep::Upkeep;
use super::uploads::{self, Bell};
use super::{Limits, OutboxError, Signal, append, prune, settle};
use crate::chain::Chain;
use crate::clock::now_ms;

pub(super) struct Database {
    pub(super) connection: Connection,
    limits: Limits,
    signals: UnboundedSender<Signal>,
    bell: Arc<Bell>,
    pub(super) upkeep: Upkeep,
    /// What requests did and the database does not say yet.
    answers: Vec<Answer>,
    /// Whether the last commit failed, so that it is said once.
    failing: bool,
    /// Bytes that may surely be added before the size has to be looked at again.
    surely_free: u64,
    /// Whether pruning made no room since something was settled last, or an operator changed something.
    pruned_in_vain: bool,
}

/// What shares a commit with the answers that wait.
enum Work<'a> {
    Nothing,
    Append(&'a [NewItem], &'a Progress),
    Upload(&'a uploads::write::Write<'a>),
}

impl Database {
    pub(super) fn new(
        connection: Connection,
        limits: Limits,
        signals: UnboundedSender<Signal>,
        bell: Arc<Bell>,
    ) -> Self {
        let upkeep = Upkeep::new(&connection, limits.keep_settled);
        Self {
            connection,
            limits,
            signals,
            bell,
            upkeep,
            answers: Vec::new(),
            failing: false,
            surely_free: 0,
            pruned_in_vain: false,
        }
    }

    /// See [`super::Outbox::append`]. The answers that came meanwhile share the commit.
    pub(super) fn append(&mut self, items: &[NewItem], progress: &Progress) -> Result<i64, OutboxError> {
        let bytes = items.iter().map(|item| item.body.len() as u64 + 200).sum();
        if bytes > 0 && self.is_full(bytes) {
            return Err(OutboxError::Full(self.limits.max_bytes));
        }
        let mut touched = Vec::new();
        let file = self.commit(&Work::Append(items, progress), &mut touched)?;
        self.upkeep.wrote(2 + i64::try_from(bytes / 3000).unwrap_or(i64::MAX), &self.connection);
        self.signal(touched);
        Ok(file)
    }

    /// Writes down a change of an upload.
    pub(super) fn write_upload(&mut self, change: &uploads::write::Write<'_>) -> Result<(), OutboxError> {
        let bytes = change.bytes();
        if bytes > 0 && self.is_full(bytes) {
            return Err(OutboxError::Full(self.limits.max_bytes));
        }
        let mut touched = Vec::new();
        self.commit(&Work::Upload(change), &mut touched)?;
        self.upkeep.wrote(3, &self.connection);
        self.signal(touched);
        Ok(())
    }

    fn signal(&self, touched: Vec<LaneId>) {
        if !touched.is_empty() {
            // The delivery loop is gone only while the process ends.
            let _ = self.signals.send(Signal::Appended(touched));
        }
    }

    /// Writes down what requests did. What cannot be written now is written with the next commit, so that what the API
    /// already holds is not sent again.
    pub(super) fn settle(&mut self, answers: Vec<Answer>) {
        self.answers.extend(answers);
        if self.answers.is_empty() {
            return;
        }
        let items: usize = self.answers.iter().map(|answer| 1 + answer.settled.len() / 8).sum();
        if self.commit(&Work::Nothing, &mut Vec::new()).is_ok() {
            self.upkeep.wrote(i64::try_from(items).unwrap_or(i64::MAX), &self.connection);
        }
    }

    /// What is done now and then, busy or not.
    pub(super) fn look(&mut self) {
        if self.upkeep.look(&mut self.connection) {
            self.pruned_in_vain = false;
            let _ = self.signals.send(Signal::Changed);
            self.bell.ring_for_anything();
        }
    }

    /// One transaction: the answers that wait, and `work`. Returns the source's cursor's number, or 0.
    fn commit(&mut self, work: &Work<'_>, touched: &mut Vec<LaneId>) -> Result<i64, OutboxError> {
        let committed = self.transaction(work, touched);
        match &committed {
            Ok(_) => {
                self.failing = false;
                // An answer that settles nothing makes nothing prunable: while the API is away there are many.
                self.pruned_in_vain &= self.answers.iter().all(|answer| answer.settled.is_empty());
                self.answers.clear();
            }
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::error!(
                    error = %Chain(error),
                    "the outbox cannot be written; nothing is lost, everything is tried again every few seconds (is the disk full?)"
                );
            }
            Err(_) => {}
        }
        committed.map_err(|_| OutboxError::NotStored)
    }

    fn transaction(&mut self, work: &Work<'_>, touched: &mut Vec<LaneId>) -> rusqlite::Result<i64> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for answer in &self.answers {
            settle::settle(&tx, answer)?;
        }
        let file = match work {
            Work::Nothing => 0,
            Work::Append(items, progress) => append::append(&tx, items, progress, now_ms(), touched)?,
            Work::Upload(change) => {
                uploads::write::write(&tx, change, touched)?;
                0
            }
        };
        tx.commit()?;
        Ok(file)
    }

    /// Whether the pages in use reach the cap; settled items make room before anything is refused. Where that was in vain,
    /// it is not tried again before something was settled.
    fn is_full(&mut self, adding: u64) -> bool {
        // Rows, indexes and half-empty pages take more than the bytes themselves.
        let adding = adding.saturating_mul(4);
        if adding < self.surely_free {
            self.surely_free -= adding;
            return false;
        }
        self.surely_free = self.free();
        if self.surely_free > 0 || self.pruned_in_vain {
            return self.surely_free == 0;
        }
        let max_bytes = self.limits.max_bytes;
        Upkeep::prune_until(&mut self.connection, |connection| {
            prune::bytes_in_use(connection).is_ok_and(|bytes| bytes < max_bytes)
        });
        self.pruned_in_vain = self.free() == 0;
        self.pruned_in_vain
    }

    fn free(&self) -> u64 {
        self.limits.max_bytes.saturating_sub(prune::bytes_in_use(&self.connection).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::model::{Kept, Meeting};
    use super::super::schema;
    use super::*;

    #[test]
    fn an_answer_that_settles_nothing_does_not_make_the_outbox_look_for_room_again() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let (signals, _signalled) = tokio::sync::mpsc::unbounded_channel();
        let limits = Limits { max_bytes: 1, keep_settled: Duration::from_hours(1) };
        let mut database = Database::new(connection, limits, signals, Arc::default());
        assert!(database.is_full(1) && database.pruned_in_vain);
        let kept = Kept { first: 1, last: 1, due_at: 9, attempts: 1, note: "refused".into() };
        let answer = Answer {
            lane: 1,
            at: 1,
            status: Some(503),
            took_ms: 1,
            settled: Vec::new(),
            parked: Vec::new(),
            kept: Some(kept),
            meeting: Meeting::Unchanged,
        };
        database.settle(vec![answer.clone()]);
        assert!(database.pruned_in_vain, "a failed try");
        database.settle(vec![Answer { settled: vec![(1, 1)], kept: None, ..answer }]);
        assert!(!database.pruned_in_vain, "something may be prunable now");
    }
}
