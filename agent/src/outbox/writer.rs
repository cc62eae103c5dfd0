//! The writer thread: everything that is asked for at the same time shares one commit.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc::UnboundedSender;

use super::model::{Answer, LaneId, NewItem, Progress};
use super::prune::Position;
use super::{Command, OutboxError, Signal, append, prune, settle};
use crate::clock::now_ms;

/// How big the outbox may get and how long it remembers.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Pages in use may not exceed this, in bytes.
    pub max_bytes: u64,
    /// Settled items stay this long, for the delivery log.
    pub keep_settled: Duration,
}

/// The most commands in one commit: bounds how long the first of them waits.
const MAX_GROUP: usize = 256;

/// While idle, how often to look for an operator's change from another process.
const LOOK: Duration = Duration::from_secs(2);

/// How often to forget what is old.
const PRUNE_EVERY: Duration = Duration::from_mins(10);

/// The log is folded into the database when it has this many pages; in a quiet moment, when it has [`FOLD_QUIETLY`].
///
/// Not after every event: the first commit after a fold costs one flush more, and a log that is used again from its
/// start is cheaper to flush than one that grows.
const FOLD_NOW: i64 = 4000;
const FOLD_QUIETLY: i64 = 1000;

struct Writer<'a> {
    connection: Connection,
    limits: Limits,
    signals: &'a UnboundedSender<Signal>,
    /// What requests did and the database does not say yet.
    answers: Vec<Answer>,
    /// Whether the last commit failed, so that it is said once.
    failing: bool,
    /// Bytes that may surely be added before the size has to be looked at again.
    surely_free: u64,
    /// Whether pruning made no room since something was settled last.
    pruned_in_vain: bool,
    /// Pages written since the last checkpoint, roughly; 0 means that the log is folded in.
    unfolded: i64,
    /// `SQLite`'s own counter of changes by other connections.
    version: i64,
    looked_at: Instant,
    pruned_at: Instant,
    position: Position,
}

pub(super) fn run(
    connection: Connection,
    limits: Limits,
    commands: &Receiver<Command>,
    signals: &UnboundedSender<Signal>,
) {
    let version = data_version(&connection).unwrap_or(0);
    let mut writer = Writer {
        connection,
        limits,
        signals,
        answers: Vec::new(),
        failing: false,
        surely_free: 0,
        pruned_in_vain: false,
        unfolded: 1,
        version,
        looked_at: Instant::now(),
        pruned_at: Instant::now(),
        position: Position::Done,
    };
    loop {
        let mut group = Vec::new();
        match commands.recv_timeout(LOOK) {
            Ok(command) => group.push(command),
            Err(RecvTimeoutError::Timeout) => {
                writer.write(Vec::new());
                writer.look();
                writer.fold_quietly();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
        group.extend(commands.try_iter().take(MAX_GROUP - 1));
        if writer.group(group) == Flow::End {
            break;
        }
        if writer.looked_at.elapsed() >= LOOK {
            writer.look();
        }
        writer.fold_if_large();
    }
    writer.checkpoint("TRUNCATE");
}

#[derive(PartialEq, Eq)]
enum Flow {
    Next,
    End,
}

/// One request to queue items, with the place for its answer.
struct Append {
    items: Vec<NewItem>,
    progress: Progress,
    reply: SyncSender<Result<i64, OutboxError>>,
}

impl Writer<'_> {
    fn group(&mut self, commands: Vec<Command>) -> Flow {
        let (mut appends, mut reads, mut flow) = (Vec::new(), Vec::new(), Flow::Next);
        for command in commands {
            match command {
                Command::Append { items, progress, reply } => appends.push(Append { items, progress, reply }),
                Command::Settle(answer) => self.answers.push(answer),
                Command::Close => flow = Flow::End,
                read => reads.push(read),
            }
        }
        self.write(appends);
        // Reads follow the commit, so that they see what the same caller wrote before.
        for command in reads {
            self.read(command);
        }
        flow
    }

    /// Commits what is asked for and the answers that came, and tells every caller what became of it.
    ///
    /// After a failure sources are told to try again; answers are kept for the next commit, so that what the API already
    /// holds is not sent again.
    fn write(&mut self, appends: Vec<Append>) {
        if appends.is_empty() && self.answers.is_empty() {
            return;
        }
        let bytes = bytes_of(&appends);
        let full = bytes > 0 && self.is_full(bytes);
        let mut touched = Vec::new();
        match self.commit(&appends, full, &mut touched) {
            Ok(files) => {
                self.failing = false;
                self.unfolded += pages_of(&appends, &self.answers);
                self.pruned_in_vain &= self.answers.is_empty();
                self.answers.clear();
                if !touched.is_empty() {
                    // The delivery loop is gone only while the process ends.
                    let _ = self.signals.send(Signal::Appended(touched));
                }
                for (append, file) in appends.into_iter().zip(files) {
                    let _ = append.reply.send(file.ok_or(OutboxError::Full(self.limits.max_bytes)));
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        error = %chain(&error),
                        "the outbox cannot be written; nothing is lost, everything is tried again every few seconds (is the disk full?)"
                    );
                }
                for append in appends {
                    let _ = append.reply.send(Err(OutboxError::NotStored));
                }
            }
        }
    }

    /// One transaction. Returns for each append its cursor's number, or nothing where the size cap refused it.
    fn commit(
        &mut self,
        appends: &[Append],
        full: bool,
        touched: &mut Vec<LaneId>,
    ) -> rusqlite::Result<Vec<Option<i64>>> {
        let now = now_ms();
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for answer in &self.answers {
            settle::settle(&tx, answer)?;
        }
        let mut files = Vec::with_capacity(appends.len());
        for append in appends {
            let refused = full && !append.items.is_empty();
            files.push(if refused {
                None
            } else {
                Some(append::append(&tx, &append.items, &append.progress, now, touched)?)
            });
        }
        tx.commit()?;
        Ok(files)
    }

    fn read(&self, command: Command) {
        let connection = &self.connection;
        // A caller that has gone away needs no answer.
        match command {
            Command::Cursors { reply } => {
                drop(reply.send(append::cursors(connection).map_err(OutboxError::from)));
            }
            Command::RecordingIsQueued { id, reply } => {
                drop(reply.send(append::recording_is_queued(connection, &id).map_err(OutboxError::from)));
            }
            Command::HasParkedLines { file, reply } => {
                drop(reply.send(append::has_parked_lines(connection, file).map_err(OutboxError::from)));
            }
            Command::Append { .. } | Command::Settle(_) | Command::Close => {}
        }
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
        let in_use = |connection: &Connection| prune::bytes_in_use(connection).unwrap_or(0);
        self.surely_free = self.limits.max_bytes.saturating_sub(in_use(&self.connection));
        if self.surely_free > 0 {
            return false;
        }
        if self.pruned_in_vain {
            return true;
        }
        let mut position = Position::After(0);
        while let Position::After(seq) = position {
            match self.prune_step(seq, i64::MAX) {
                Ok(next) if in_use(&self.connection) >= self.limits.max_bytes => position = next,
                _ => break,
            }
        }
        self.pruned_in_vain = in_use(&self.connection) >= self.limits.max_bytes;
        self.pruned_in_vain
    }

    /// What is done now and then, busy or not.
    fn look(&mut self) {
        self.looked_at = Instant::now();
        self.notice_changes();
        if self.pruned_at.elapsed() >= PRUNE_EVERY {
            self.pruned_at = Instant::now();
            self.position = Position::After(0);
        }
        if let Position::After(seq) = self.position
            && let Err(error) = self.prune(seq)
        {
            tracing::warn!(error = %chain(&error), "old deliveries could not be pruned; tried again later");
            self.position = Position::Done;
        }
    }

    /// An operator's `deliveries retry` works on the file directly; `SQLite` counts such changes for us.
    fn notice_changes(&mut self) {
        let version = data_version(&self.connection).unwrap_or(self.version);
        if version != self.version {
            self.version = version;
            let _ = self.signals.send(Signal::Changed);
        }
    }

    fn prune(&mut self, after: i64) -> rusqlite::Result<()> {
        let now = now_ms();
        let cutoff =
            now.saturating_sub(i64::try_from(self.limits.keep_settled.as_millis()).unwrap_or(i64::MAX));
        self.position = self.prune_step(after, cutoff)?;
        if self.position == Position::Done {
            prune::prune_rest(&self.connection, cutoff, now)?;
        }
        Ok(())
    }

    fn prune_step(&mut self, after: i64, cutoff: i64) -> rusqlite::Result<Position> {
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let position = prune::prune_items(&tx, after, cutoff)?;
        tx.commit()?;
        Ok(position)
    }

    fn fold_if_large(&mut self) {
        if self.unfolded >= FOLD_NOW {
            self.checkpoint("PASSIVE");
        }
    }

    fn fold_quietly(&mut self) {
        if self.unfolded >= FOLD_QUIETLY {
            self.checkpoint("PASSIVE");
        }
    }

    /// Folds the log into the database, so that the log's file is used again from its start instead of growing.
    fn checkpoint(&mut self, mode: &str) {
        let folded = self.connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |_| Ok(()));
        match folded {
            Ok(()) => self.unfolded = 0,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "the outbox's log could not be folded in; tried again later");
            }
        }
    }
}

/// Roughly how many bytes the items take.
fn bytes_of(appends: &[Append]) -> u64 {
    appends.iter().flat_map(|append| &append.items).map(|item| item.body.len() as u64 + 200).sum()
}

/// Roughly how many pages of the log a commit takes.
fn pages_of(appends: &[Append], answers: &[Answer]) -> i64 {
    let settled: usize = answers.iter().map(|answer| 1 + answer.settled.len() / 8).sum();
    let fixed = i64::try_from(2 * appends.len() + settled).unwrap_or(i64::MAX);
    i64::try_from(bytes_of(appends) / 3000).unwrap_or(i64::MAX).saturating_add(fixed)
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn chain(error: &rusqlite::Error) -> String {
    crate::chain::Chain(error).to_string()
}
