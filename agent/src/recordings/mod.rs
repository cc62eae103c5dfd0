//! The recordings source: finds the files that Jibri finished.
//!
//! One thread with a plain loop: wait for a change, look at the directories, decide for every media file where it stands
//! ([`stage`], pure), and queue a notice for those that are final. Nothing is ever written into a session directory:
//! Jibri deletes an empty one, and a file of ours would keep it from doing so.

pub mod metadata;
pub mod notice;
pub mod probe;
pub mod stage;
pub mod writers;

use std::collections::HashMap;
use std::fs::{self, DirEntry};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::notice::Finished;
use self::stage::{Seen, Sidecar, Stage, stage};
use crate::chain::Chain;
use crate::config::Config;
use crate::outbox::model::Progress;
use crate::outbox::{Outbox, OutboxError};
use crate::rooms::Rooms;
use crate::watch::{Stop, Wake, Watch};

/// The name of the file that Jibri writes last.
const METADATA: &str = "metadata.json";

/// How soon a source tries again what the outbox refused.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// The recordings source.
pub struct Recordings {
    roots: Vec<PathBuf>,
    patience: Duration,
    rescan: Duration,
    host: String,
    rooms: Rooms,
    outbox: Outbox,
    watch: Watch,
    sessions: HashMap<PathBuf, Session>,
    said: HashMap<PathBuf, String>,
}

/// What is remembered of a session directory between two looks.
#[derive(Default)]
struct Session {
    /// The directory's modification time when everything in it had been dealt with.
    settled: Option<i128>,
    /// For each media file: how it looked, and since when it has looked so.
    files: HashMap<PathBuf, (Looks, Instant)>,
    /// Whether this look found it.
    present: bool,
}

/// What changes when a recording goes on: the file's and the metadata's length and modification time.
type Looks = (u64, i128, Option<(u64, i128)>);

impl Recordings {
    /// Prepares watching the configured roots.
    pub fn new(config: &Config, outbox: Outbox, stop: Stop) -> anyhow::Result<Self> {
        let patience = Duration::from_secs(config.recordings.orphan_after_seconds);
        Ok(Self {
            roots: config.recordings.roots.clone(),
            patience,
            rescan: Duration::from_secs(config.recordings.rescan_seconds).min(patience),
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            rooms: Rooms::new(&config.api.rooms),
            outbox,
            watch: Watch::new(stop)?,
            sessions: HashMap::new(),
            said: HashMap::new(),
        })
    }

    /// Looks for finished recordings until the agent stops.
    pub fn run(mut self) {
        loop {
            let timeout = match self.look() {
                Ok(()) => self.rescan,
                Err(OutboxError::Closed) => return,
                Err(error) => {
                    tracing::warn!("recordings wait: {}", Chain(&error));
                    TRY_AGAIN
                }
            };
            if self.watch.wait(timeout) == Wake::Stop {
                return;
            }
        }
    }

    fn look(&mut self) -> Result<(), OutboxError> {
        for session in self.sessions.values_mut() {
            session.present = false;
        }
        for root in self.roots.clone() {
            self.watch.add(&root);
            match fs::read_dir(&root) {
                Ok(entries) => {
                    self.said.remove(&root);
                    for entry in entries.flatten().filter(is_session) {
                        self.look_at_session(&entry.path())?;
                    }
                }
                // Jibri makes its root at the first recording.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.say(&root, format!("cannot be read: {error}; recordings in it are not seen"));
                }
            }
        }
        self.forget_vanished();
        Ok(())
    }

    /// Drops what is remembered of directories that are gone. Jibri removes the directory of a session without media.
    fn forget_vanished(&mut self) {
        self.sessions.retain(|path, session| {
            if !session.present && session.settled.is_none() {
                tracing::info!(session = %path.display(), "a session directory is gone before a recording was finished in it");
            }
            session.present
        });
        let (roots, sessions) = (&self.roots, &self.sessions);
        self.watch.retain(|path| {
            roots.iter().any(|root| root == path)
                || sessions.get(path).is_some_and(|session| session.settled.is_none())
        });
    }

    fn look_at_session(&mut self, directory: &Path) -> Result<(), OutboxError> {
        let Ok(modified) = fs::metadata(directory).map(|metadata| modified(&metadata)) else { return Ok(()) };
        let session = self.sessions.entry(directory.to_owned()).or_default();
        session.present = true;
        if session.settled == Some(modified) {
            return Ok(());
        }
        session.settled = None;
        self.watch.add(directory);
        let files = match media_files(directory) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                self.say(
                    directory,
                    format!("cannot be read: {error}; is the agent's user in Jibri's group?"),
                );
                return Ok(());
            }
        };
        let mut settled = !files.is_empty();
        for file in files {
            match self.look_at_file(directory, &file) {
                Ok(done) => settled &= done,
                Err(Failure::Outbox(error)) => return Err(error),
                Err(Failure::File(error)) => {
                    settled = false;
                    if error.kind() != io::ErrorKind::NotFound {
                        self.say(
                            &file,
                            format!("cannot be read: {error}; is the agent's user in Jibri's group?"),
                        );
                    }
                }
            }
        }
        if settled && let Some(session) = self.sessions.get_mut(directory) {
            *session = Session { settled: Some(modified), files: HashMap::new(), present: true };
        }
        Ok(())
    }

    /// Decides about one media file; queues it if it is final. Returns whether nothing remains to be done for it.
    fn look_at_file(&mut self, directory: &Path, path: &Path) -> Result<bool, Failure> {
        let sidecar_path = directory.join(METADATA);
        let sidecar = read_sidecar(&sidecar_path);
        let media = fs::metadata(path)?;
        let beside = fs::metadata(&sidecar_path).ok();
        let looks: Looks = (
            media.len(),
            modified(&media),
            beside.as_ref().map(|metadata| (metadata.len(), modified(metadata))),
        );
        let unchanged = self.unchanged(directory, path, looks);
        let has_writer = unchanged >= self.patience && writers::is_written(path);
        let seen = Seen { metadata: sidecar, unchanged, has_writer };
        let stage = stage(&seen, self.patience);
        if stage == Stage::Growing {
            return Ok(false);
        }
        let metadata =
            if let Sidecar::Complete(metadata) = &seen.metadata { Some(&**metadata) } else { None };
        let finished_at =
            beside.as_ref().filter(|_| stage == Stage::Closed).map_or(modified(&media), modified);
        let session = directory.file_name().unwrap_or_default().to_string_lossy();
        self.queue(&Finished { path, session: &session, stage, metadata, finished_at })?;
        Ok(true)
    }

    /// For how long the file has looked as it does. Counted by our own observation, so that no clock can be wrong.
    fn unchanged(&mut self, directory: &Path, path: &Path, looks: Looks) -> Duration {
        let now = Instant::now();
        let session = self.sessions.entry(directory.to_owned()).or_default();
        let known = session.files.entry(path.to_owned()).or_insert((looks, now));
        if known.0 != looks {
            *known = (looks, now);
        }
        now - known.1
    }

    fn queue(&mut self, finished: &Finished<'_>) -> Result<(), Failure> {
        let id = notice::id(&self.host, finished)?;
        if self.outbox.recording_is_queued(id.as_str())? {
            return Ok(());
        }
        let item = match notice::room(finished) {
            Some(room) if !self.rooms.contains(room.as_str()) => return Ok(()),
            Some(room) => notice::item(&self.host, id, &room, finished)?,
            None => notice::nameless(id, finished),
        };
        tracing::info!(event.id = %item.id, file = %finished.path.display(), room = item.room, "a recording is finished");
        let path = finished.path.display().to_string();
        self.outbox.append(vec![item], Progress::Recording { path })?;
        Ok(())
    }

    fn say(&mut self, path: &Path, what: String) {
        if self.said.get(path) != Some(&what) {
            tracing::warn!(path = %path.display(), "{what}");
            self.said.insert(path.to_owned(), what);
        }
    }
}

enum Failure {
    File(io::Error),
    Outbox(OutboxError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::File(error)
    }
}

impl From<OutboxError> for Failure {
    fn from(error: OutboxError) -> Self {
        Self::Outbox(error)
    }
}

fn is_session(entry: &DirEntry) -> bool {
    let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
    !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Every regular file that is neither hidden nor the metadata: the extension is a matter of Jibri's configuration.
fn media_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != METADATA && !name.as_encoded_bytes().starts_with(b".") && entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

fn read_sidecar(path: &Path) -> Sidecar {
    let Ok(file) = fs::File::open(path) else { return Sidecar::Absent };
    let mut bytes = Vec::new();
    match file.take(metadata::MAX_BYTES).read_to_end(&mut bytes) {
        Ok(_) => metadata::parse(&bytes)
            .map_or(Sidecar::Unreadable, |metadata| Sidecar::Complete(Box::new(metadata))),
        Err(_) => Sidecar::Unreadable,
    }
}

/// The last modification, in nanoseconds since 1970.
fn modified(metadata: &fs::Metadata) -> i128 {
    i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec())
}
