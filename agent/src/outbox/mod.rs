//! The outbox: what has been read and is not yet known to be held by the API.
//!
//! One SQLite file in write-ahead mode, every commit on stable storage, written by one thread. Whatever callers ask for
//! at the same time shares one commit. Three promises follow:
//!
//! - [`Outbox::append`] returns after the items *and* the source's new cursor are on disk, in one transaction. A crash
//!   before loses neither: the source is read again from the old cursor.
//! - An item leaves the state `ready` only through an [`Answer`]. A crash between the answer and its commit makes the
//!   item be sent again, under the same id.
//! - At the size cap, `append` refuses ([`OutboxError::Full`]) and sources stop reading. Nothing is dropped: the spool
//!   file is the buffer.

mod append;
mod claim;
pub mod log;
pub mod model;
mod prune;
mod reader;
mod schema;
mod settle;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc as blocking};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc;

use self::model::{Answer, Cursor, LaneId, NewItem, Progress};
pub use self::reader::Reader;
pub use self::writer::Limits;

/// Why the outbox did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// `SQLite` failed: no permission, a damaged file, a statement that waited too long.
    #[error("the outbox database failed")]
    Sqlite(#[source] rusqlite::Error),
    /// The disk does not take what the database needs.
    #[error("the disk does not take the outbox's files: make room (`df`), the agent goes on by itself")]
    Disk(#[source] rusqlite::Error),
    /// A file operation beside the database failed.
    #[error("{}", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database was written by a newer release.
    #[error(
        "the outbox has schema version {version}, this release knows {current}: install the newer release again"
    )]
    Newer {
        /// The file's version.
        version: i64,
        /// The newest version that this release knows.
        current: i64,
    },
    /// Another process has the outbox open.
    #[error("another reflector-agent is running on this outbox")]
    Locked,
    /// The size cap is reached.
    #[error(
        "the outbox is at its size cap of {0} bytes: sources wait and nothing is dropped; bring the API back, or raise `max-bytes` in [outbox]"
    )]
    Full(u64),
    /// The commit failed; the log says why. Nothing was stored, and trying again is safe.
    #[error("the outbox cannot be written at the moment")]
    NotStored,
    /// The writer thread has ended.
    #[error("the outbox is closed")]
    Closed,
}

impl From<rusqlite::Error> for OutboxError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Self::Disk(error),
            _ => Self::Sqlite(error),
        }
    }
}

/// The database file's name inside the outbox directory.
pub const DATABASE: &str = "outbox.sqlite3";

/// The file that the running agent holds locked.
pub const LOCK: &str = "agent.lock";

/// A handle on the outbox; clones share the one writer.
#[derive(Clone)]
pub struct Outbox {
    commands: blocking::Sender<Command>,
    host_id: Arc<str>,
}

/// What the writer thread is asked to do.
enum Command {
    Append { items: Vec<NewItem>, progress: Progress, reply: blocking::SyncSender<Result<i64, OutboxError>> },
    Settle(Answer),
    Cursors { reply: blocking::SyncSender<Result<Vec<Cursor>, OutboxError>> },
    RecordingIsQueued { id: String, reply: blocking::SyncSender<Result<bool, OutboxError>> },
    HasParkedLines { file: i64, reply: blocking::SyncSender<Result<bool, OutboxError>> },
    Close,
}

/// What the writer thread tells the delivery loop.
#[derive(Debug, PartialEq, Eq)]
pub enum Signal {
    /// These lanes have something new.
    Appended(Vec<LaneId>),
    /// Another process changed the outbox (an operator's retry): look at everything.
    Changed,
}

/// The running writer; join it to know that everything is written.
pub struct Writer {
    thread: std::thread::JoinHandle<()>,
    outbox: Outbox,
    _lock: File,
}

impl Outbox {
    /// Opens the outbox in `directory` and starts its writer. The directory is created if it is missing.
    ///
    /// # Errors
    ///
    /// [`OutboxError::Locked`] when another agent runs on it; [`OutboxError::Newer`] when a newer release wrote it.
    pub fn open(
        directory: &Path,
        limits: Limits,
    ) -> Result<(Writer, mpsc::UnboundedReceiver<Signal>), OutboxError> {
        std::fs::create_dir_all(directory)
            .map_err(|source| OutboxError::File { path: directory.into(), source })?;
        let lock = lock(&directory.join(LOCK))?;
        let mut connection = Connection::open(directory.join(DATABASE))?;
        schema::configure_writer(&connection)?;
        schema::migrate(&mut connection)?;
        schema::lengthen_log(&connection);
        let host_id = schema::host_id(&connection)?.into();
        let (commands, received) = blocking::channel();
        let (signals, signalled) = mpsc::unbounded_channel();
        let outbox = Self { commands, host_id };
        let thread = std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || writer::run(connection, limits, &received, &signals))
            .map_err(|source| OutboxError::File { path: directory.into(), source })?;
        Ok((Writer { thread, outbox, _lock: lock }, signalled))
    }

    /// What this host is called for ever: made at random when the outbox was made, so that a new host name, or a container
    /// that is made anew around the same outbox, does not make old recordings new ones.
    pub fn host_id(&self) -> &str {
        &self.host_id
    }

    /// Queues `items` and moves the source's cursor, durably. Returns the cursor's number.
    pub fn append(&self, items: Vec<NewItem>, progress: Progress) -> Result<i64, OutboxError> {
        self.ask(|reply| Command::Append { items, progress, reply })
    }

    /// Writes down what a request did. Does not wait: a lost settlement means one more delivery of the same id.
    pub fn settle(&self, answer: Answer) {
        // A closed outbox ends the process; there is nobody left to tell.
        let _ = self.commands.send(Command::Settle(answer));
    }

    /// How far each spool file has been read.
    pub fn cursors(&self) -> Result<Vec<Cursor>, OutboxError> {
        self.ask(|reply| Command::Cursors { reply })
    }

    /// Whether a recording was queued before.
    pub fn recording_is_queued(&self, id: &str) -> Result<bool, OutboxError> {
        self.ask(|reply| Command::RecordingIsQueued { id: id.to_owned(), reply })
    }

    /// Whether a line of this spool file is parked.
    pub fn has_parked_lines(&self, file: i64) -> Result<bool, OutboxError> {
        self.ask(|reply| Command::HasParkedLines { file, reply })
    }

    fn ask<T>(
        &self,
        command: impl FnOnce(blocking::SyncSender<Result<T, OutboxError>>) -> Command,
    ) -> Result<T, OutboxError> {
        let (reply, answer) = blocking::sync_channel(1);
        self.commands.send(command(reply)).map_err(|_| OutboxError::Closed)?;
        answer.recv().map_err(|_| OutboxError::Closed)?
    }
}

impl Writer {
    /// A handle on the outbox.
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// Writes what was asked for before this call, then ends the writer.
    pub fn close(self) {
        let _ = self.outbox.commands.send(Command::Close);
        if self.thread.join().is_err() {
            tracing::error!(
                "the outbox writer panicked; what it had not committed will be read or sent again"
            );
        }
    }
}

/// Takes the lock that says "an agent runs here"; it is released by the process's end, however that comes.
///
/// `reflector-agent status` holds it for an instant to see whether it is free, so it is tried for a second.
fn lock(path: &Path) -> Result<File, OutboxError> {
    let failed = |source| OutboxError::File { path: path.into(), source };
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    let deadline = Instant::now() + Duration::from_secs(1);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return Err(OutboxError::Locked),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(20)),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}
