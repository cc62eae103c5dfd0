//! The writer thread: settles what the delivery loop reports, many answers in one commit, and keeps the database in shape.
//!
//! Sources commit in their own threads: they wait for the disk anyway. The delivery loop must not wait for each of its answers,
//! so they go through this thread; it waits only where so many are not written down that they would fill the memory.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use host::pulse::Pulse;

use super::database::Database;
use super::model::Answer;

/// The most answers in one commit: bounds how long a source waits for the database. As many may wait for the next one.
pub(super) const MAX_GROUP: usize = 64;

/// How often to look after the database.
const LOOK: Duration = Duration::from_secs(2);

/// What the writer thread is told.
pub(super) enum Message {
    /// A request was answered.
    Settle(Answer),
    /// The agent stops.
    Close,
}

pub(super) fn run(database: &Mutex<Database>, messages: &Receiver<Message>, pulse: &Pulse) {
    let mut looked_at = Instant::now();
    let mut open = true;
    while open {
        pulse.sleeps(LOOK);
        let first = messages.recv_timeout(LOOK);
        pulse.beat();
        let quiet = matches!(first, Err(RecvTimeoutError::Timeout));
        open = !matches!(first, Err(RecvTimeoutError::Disconnected));
        let mut answers = Vec::new();
        for message in first.into_iter().chain(messages.try_iter()).take(MAX_GROUP) {
            match message {
                Message::Settle(answer) => answers.push(answer),
                Message::Close => open = false,
            }
        }
        // A source that panicked while it wrote has ended the agent already.
        let Ok(mut database) = database.lock() else { return };
        database.settle(answers);
        if looked_at.elapsed() >= LOOK {
            looked_at = Instant::now();
            database.look();
        }
        let Database { upkeep, connection, .. } = &mut *database;
        if !open {
            upkeep.fold(connection, "RESTART");
        } else if quiet {
            upkeep.fold_quietly(connection);
        }
    }
}
