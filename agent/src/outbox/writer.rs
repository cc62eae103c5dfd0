//! The writer thread: everything that is asked for at the same time shares one commit.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::mpsc::UnboundedSender;

use super::model::{LaneId, NewItem};
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

/// What is answered once the commit is on disk.
type Reply = Box<dyn FnOnce()>;

impl Writer<'_> {
    fn group(&mut self, commands: Vec<Command>) -> Flow {
        let (mut writes, mut reads, mut flow) = (Vec::new(), Vec::new(), Flow::Next);
        for command in commands {
            match command {
                Command::Append { .. } | Command::Settle(_) => writes.push(command),
                Command::Close => flow = Flow::End,
                read => reads.push(read),
            }
        }
        if !writes.is_empty() {
            self.write(writes);
        }
        // Reads follow the commit, so that they see what the same caller wrote before.
        for command in reads {
            self.read(command);
        }
        flow
    }

    fn write(&mut self, commands: Vec<Command>) {
        let full = self.is_full();
        let mut touched = Vec::new();
        let mut replies: Vec<Reply> = Vec::new();
        match self.commit(commands, full, &mut touched, &mut replies) {
            Ok(()) => {
                if !touched.is_empty() {
                    // The delivery loop is gone only while the process ends.
                    let _ = self.signals.send(Signal::Appended(touched));
                }
                for reply in replies {
                    reply();
                }
            }
            // Dropping the replies tells every caller that nothing was stored.
            Err(error) => tracing::error!(
                error = %chain(&error),
                "the outbox could not be written; nothing is lost, sources and deliveries will be tried again (is the disk full?)"
            ),
        }
    }

    fn commit(
        &mut self,
        commands: Vec<Command>,
        full: bool,
        touched: &mut Vec<LaneId>,
        replies: &mut Vec<Reply>,
    ) -> rusqlite::Result<()> {
        let now = now_ms();
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for command in commands {
            match command {
                Command::Settle(answer) => {
                    settle::settle(&tx, &answer)?;
                    self.unfolded += 1 + i64::try_from(answer.settled.len() / 8).unwrap_or(0);
                }
                Command::Append { reply, items, .. } if full && !items.is_empty() => {
                    let limit = self.limits.max_bytes;
                    replies.push(Box::new(move || drop(reply.send(Err(OutboxError::Full(limit))))));
                }
                Command::Append { items, progress, reply } => {
                    let file = append::append(&tx, &items, &progress, now, touched)?;
                    self.unfolded += 2 + pages_of(&items);
                    replies.push(Box::new(move || drop(reply.send(Ok(file)))));
                }
                _ => {}
            }
        }
        tx.commit()
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

    /// Whether the pages in use reach the cap; settled items make room before anything is refused.
    fn is_full(&mut self) -> bool {
        let in_use = |connection: &Connection| prune::bytes_in_use(connection).unwrap_or(0);
        if in_use(&self.connection) < self.limits.max_bytes {
            return false;
        }
        let mut position = Position::After(0);
        while let Position::After(seq) = position {
            match self.prune_step(seq, i64::MAX) {
                Ok(next) if in_use(&self.connection) >= self.limits.max_bytes => position = next,
                _ => break,
            }
        }
        in_use(&self.connection) >= self.limits.max_bytes
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
        let cutoff = now_ms() - i64::try_from(self.limits.keep_settled.as_millis()).unwrap_or(i64::MAX);
        self.position = self.prune_step(after, cutoff)?;
        if self.position == Position::Done {
            prune::prune_rest(&self.connection, cutoff)?;
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

/// Roughly how many pages of the log these items take.
fn pages_of(items: &[NewItem]) -> i64 {
    let bytes: usize = items.iter().map(|item| item.body.len() + 200).sum();
    i64::try_from(bytes / 3000).unwrap_or(i64::MAX)
}

fn data_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}

fn chain(error: &rusqlite::Error) -> String {
    crate::chain::Chain(error).to_string()
}
