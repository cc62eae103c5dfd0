//! The outbox: what has been read and is not yet known to be held by the API.
//!
//! One SQLite file in write-ahead mode, every commit on stable storage, written through one connection. A source commits a
//! whole chunk of lines at a time, the writer thread all answers that came meanwhile. Three promises follow:
//!
//! - [`Outbox::append`] returns after the items *and* the source's new cursor are on disk, in one transaction. A crash
//!   before loses neither: the source is read again from the old cursor.
//! - An item leaves the state `ready` only through an [`Answer`]. A crash between the answer and its commit makes the
//!   item be sent again, under the same id.
//! - At the size cap, `append` refuses ([`OutboxError::Full`]) and sources stop reading. Nothing is dropped: the spool
//!   file is the buffer.

mod append;
mod backlog;
mod claim;
mod database;
pub mod fact;
pub mod log;
pub mod model;
mod operator;
mod prune;
mod reader;
pub mod released;
pub mod retained;
mod schema;
mod settle;
mod upkeep;
pub mod uploads;
mod writer;

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::time::{Duration, Instant};

use host::pulse::Pulse;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub use self::backlog::Backlog;
use self::database::Database;
use self::model::{Answer, Cursor, LaneId, NewItem, Progress};
pub use self::reader::Reader;
use self::uploads::Bell;
use self::writer::Message;

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
    /// A thread panicked while it wrote.
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

/// How big the outbox may get and how long it remembers.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Pages in use may not exceed this, in bytes.
    pub max_bytes: u64,
    /// Settled items stay this long, for the delivery log.
    pub keep_settled: Duration,
}

/// A handle on the outbox; clones share the one writer.
#[derive(Clone)]
pub struct Outbox {
    database: Arc<Mutex<Database>>,
    messages: mpsc::SyncSender<Message>,
    host_id: Arc<str>,
    bell: Arc<Bell>,
    uploads: bool,
}

/// What the outbox tells the delivery loop.
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
    pulse: Pulse,
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
    ) -> Result<(Writer, UnboundedReceiver<Signal>), OutboxError> {
        make(directory)?;
        let lock = lock(&directory.join(LOCK))?;
        let mut connection = Connection::open(directory.join(DATABASE))?;
        schema::configure_writer(&connection)?;
        schema::migrate(&mut connection)?;
        // The files' names must outlast a power cut before their content is moved from one to the other. SQLite flushes the
        // directory's data alone, which promises nothing about names.
        flush(directory)?;
        schema::prepare_log(&connection, directory);
        let host_id = schema::host_id(&connection)?.into();
        let (signals, signalled) = unbounded_channel();
        let (messages, received) = mpsc::sync_channel(writer::MAX_GROUP);
        let bell = Arc::new(Bell::default());
        let database = Arc::new(Mutex::new(Database::new(connection, limits, signals, Arc::clone(&bell))));
        let outbox = Self { database: Arc::clone(&database), messages, host_id, bell, uploads: false };
        let pulse = Pulse::new("outbox", Duration::ZERO);
        let of_thread = pulse.clone();
        let thread = std::thread::Builder::new()
            .name("outbox".into())
            .spawn(move || writer::run(&database, &received, &of_thread))
            .map_err(|source| OutboxError::File { path: directory.into(), source })?;
        Ok((Writer { thread, pulse, outbox, _lock: lock }, signalled))
    }

    /// What this host is called for ever: made at random when the outbox was made, so that a new host name, or a container
    /// that is made anew around the same outbox, does not make old recordings new ones.
    pub fn host_id(&self) -> &str {
        &self.host_id
    }

    /// Queues `items` and moves the source's cursor, durably. Returns the cursor's number.
    pub fn append(&self, items: &[NewItem], progress: &Progress) -> Result<i64, OutboxError> {
        self.database()?.append(items, progress)
    }

    /// Writes down what a request did. Does not wait for the disk unless many answers wait already: a lost settlement means one
    /// more delivery of the same id.
    pub fn settle(&self, answer: Answer) {
        // A closed outbox ends the process; there is nobody left to tell.
        let _ = self.messages.send(Message::Settle(answer));
    }

    /// How far each spool file has been read.
    pub fn cursors(&self) -> Result<Vec<Cursor>, OutboxError> {
        Ok(append::cursors(&self.database()?.connection)?)
    }

    /// Whether a recording was queued before.
    pub fn recording_is_queued(&self, id: &str) -> Result<bool, OutboxError> {
        Ok(append::recording_is_queued(&self.database()?.connection, id)?)
    }

    /// Whether a line of this spool file is parked.
    pub fn has_parked_lines(&self, file: i64) -> Result<bool, OutboxError> {
        Ok(append::has_parked_lines(&self.database()?.connection, file)?)
    }

    fn database(&self) -> Result<MutexGuard<'_, Database>, OutboxError> {
        self.database.lock().map_err(|_| OutboxError::Closed)
    }
}

impl Writer {
    /// A handle on the outbox.
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// By which the writer's thread shows that it gets round.
    pub fn pulse(&self) -> Pulse {
        self.pulse.clone()
    }

    /// Writes what was asked for before this call, then ends the writer.
    pub fn close(self) {
        let _ = self.outbox.messages.send(Message::Close);
        if self.thread.join().is_err() {
            tracing::error!(
                "the outbox writer panicked; what it had not committed will be read or sent again"
            );
        }
    }
}

/// Makes the directory if it is missing, so that it is there after a power cut too.
fn make(directory: &Path) -> Result<(), OutboxError> {
    if directory.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)
        .map_err(|source| OutboxError::File { path: directory.into(), source })?;
    directory.parent().map_or(Ok(()), flush)
}

/// Flushes a directory: the names in it, and what they lead to.
fn flush(directory: &Path) -> Result<(), OutboxError> {
    let flushed = File::open(directory).and_then(|directory| directory.sync_all());
    flushed.map_err(|source| OutboxError::File { path: directory.into(), source })
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
