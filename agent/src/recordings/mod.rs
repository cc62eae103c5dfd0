//! The recordings source: finds the files that Jibri finished.
//!
//! One thread with a plain loop: wait for a change, look at the directories, decide for every media file where it stands
//! ([`mod@stage`], pure), and queue a notice for those that are final. Nothing is ever written into a session directory:
//! Jibri deletes an empty one, and a file of ours would keep it from doing so.

mod memory;
pub mod metadata;
pub mod notice;
pub mod probe;
pub mod session;
pub mod sidecar;
pub mod stage;
pub mod writers;

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::memory::Memory;
use self::notice::{Finished, Origin};
use self::session::{Looks, METADATA, Session};
use self::sidecar::Sidecar;
use self::stage::{Seen, Stage, stage};
use crate::chain::Chain;
use crate::clock::now_ms;
use crate::config;
use crate::outbox::model::{NewItem, Progress};
use crate::outbox::{Outbox, OutboxError};
use crate::rooms::Rooms;
use crate::source::{Failure, TRY_AGAIN};
use crate::watch::{Stop, Wake, Watch};

/// The recordings source.
pub struct Recordings {
    roots: Vec<PathBuf>,
    patience: Duration,
    rescan: Duration,
    origin: Origin,
    rooms: Rooms,
    outbox: Outbox,
    stop: Stop,
    watch: Watch,
    sessions: HashMap<PathBuf, Memory>,
    /// What the outbox refused, so that a large file is not read again for every try.
    refused: Option<NewItem>,
    said: HashMap<PathBuf, String>,
}

impl Recordings {
    /// Prepares watching the configured roots.
    pub fn new(
        settings: &config::Recordings,
        rooms: Rooms,
        outbox: Outbox,
        stop: Stop,
    ) -> anyhow::Result<Self> {
        let patience = Duration::from_secs(settings.orphan_after_seconds);
        Ok(Self {
            roots: settings.roots.clone(),
            patience,
            rescan: Duration::from_secs(settings.rescan_seconds).min(patience),
            origin: Origin {
                host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
                host_id: outbox.host_id().to_owned(),
            },
            rooms,
            outbox,
            watch: Watch::new(stop.clone())?,
            stop,
            sessions: HashMap::new(),
            refused: None,
            said: HashMap::new(),
        })
    }

    /// Looks for finished recordings until the agent stops.
    pub fn run(mut self) {
        let mut looked: Option<Instant> = None;
        let mut trouble = None;
        loop {
            // A recording is written to all the time; that must not make every old session be looked at.
            let result = if looked.is_some_and(|at| at.elapsed() < self.rescan) {
                self.look_at_open_sessions()
            } else {
                looked = Some(Instant::now());
                self.look()
            };
            let timeout = match result {
                Ok(()) => {
                    trouble = None;
                    self.rescan.saturating_sub(looked.map_or(Duration::ZERO, |at| at.elapsed()))
                }
                Err(OutboxError::Closed) => return,
                Err(error) => {
                    let what = Chain(&error).to_string();
                    if trouble.as_ref() != Some(&what) {
                        tracing::warn!("recordings wait: {what}");
                        trouble = Some(what);
                    }
                    TRY_AGAIN
                }
            };
            match self.watch.wait(timeout) {
                Wake::Stop => return,
                Wake::Written => {}
                Wake::Changed | Wake::Timeout => looked = None,
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
                    for entry in entries.flatten().filter(session::is_one) {
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
        if !self.stop.is_given() {
            self.forget_vanished();
        }
        Ok(())
    }

    /// Looks only where something remains to be done.
    fn look_at_open_sessions(&mut self) -> Result<(), OutboxError> {
        let open = self.sessions.iter().filter(|(_, session)| session.settled.is_none());
        for directory in open.map(|(path, _)| path.clone()).collect::<Vec<_>>() {
            self.look_at_session(&directory)?;
        }
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
        self.said.retain(|path, _| {
            roots.contains(path) || path.ancestors().any(|directory| sessions.contains_key(directory))
        });
    }

    fn look_at_session(&mut self, directory: &Path) -> Result<(), OutboxError> {
        if self.stop.is_given() {
            return Ok(());
        }
        let now = i128::from(now_ms()) * 1_000_000;
        let memory = self.sessions.entry(directory.to_owned()).or_default();
        memory.present = true;
        if memory.settled.as_ref().is_some_and(|settled| settled.is_unchanged(directory, now)) {
            return Ok(());
        }
        memory.settled = None;
        self.watch.add(directory);
        let session = match Session::read(directory) {
            Ok(session) => session,
            Err(error) => {
                self.say_unreadable(directory, &error);
                return Ok(());
            }
        };
        if self.look_at_files(directory, &session)? && !session.is_awaited(now) {
            self.said.retain(|path, _| !path.starts_with(directory));
            self.sessions.insert(directory.to_owned(), Memory::of_settled(session));
        }
        Ok(())
    }

    /// Decides about every media file. Returns whether nothing remains to be done for any of them.
    fn look_at_files(&mut self, directory: &Path, session: &Session) -> Result<bool, OutboxError> {
        let mut settled = true;
        let sidecar_path = directory.join(METADATA);
        let sidecar = Sidecar::read(&sidecar_path);
        match sidecar.advice() {
            Some(advice) => self.say(&sidecar_path, advice),
            None => drop(self.said.remove(&sidecar_path)),
        }
        for (path, looks) in &session.media {
            match self.look_at_file(directory, path, (*looks, session.metadata), &sidecar) {
                Ok(done) => settled &= done,
                Err(Failure::Outbox(error)) => return Err(error),
                Err(Failure::File(error)) => {
                    settled = false;
                    self.say_unreadable(path, &error);
                }
            }
        }
        Ok(settled)
    }

    /// Decides about one media file; queues it if it is final. Returns whether nothing remains to be done for it.
    fn look_at_file(
        &mut self,
        directory: &Path,
        path: &Path,
        looks: (Looks, Option<Looks>),
        sidecar: &Sidecar,
    ) -> Result<bool, Failure> {
        let (media, beside) = looks;
        let metadata_is_newer = beside.is_some_and(|beside| beside.modified >= media.modified);
        let memory = self.sessions.entry(directory.to_owned()).or_default();
        let unchanged = memory.unchanged(path, looks, Instant::now());
        let has_writer = unchanged >= self.patience && writers::is_written(path);
        let stage =
            stage(&Seen { metadata: sidecar, metadata_is_newer, unchanged, has_writer }, self.patience);
        let finished_at = match stage {
            Stage::Growing => return Ok(false),
            Stage::Abandoned => media.modified,
            Stage::Closed => beside.map_or(media.modified, |beside| beside.modified.max(media.modified)),
        };
        let session = directory.file_name().unwrap_or_default().to_string_lossy();
        let metadata = sidecar.metadata();
        self.queue(&Finished { path, session: &session, stage, metadata, finished_at })
    }

    /// Queues a finished file's notice, unless it was queued before. Returns whether that is done: reading a large file
    /// through ends early when the agent stops.
    fn queue(&mut self, finished: &Finished<'_>) -> Result<bool, Failure> {
        let id = notice::id(&self.origin, finished)?;
        // Metadata that a finalize script took away does not make the recording a worse one.
        let with_metadata = notice::id(&self.origin, &Finished { stage: Stage::Closed, ..finished.clone() })?;
        for told in [&id, &with_metadata] {
            if self.outbox.recording_is_queued(told.as_str())? {
                return Ok(true);
            }
        }
        let item = match (self.refused.take().filter(|item| item.id == id), notice::room(finished)) {
            (Some(item), _) => item,
            (None, Some(room)) if !self.rooms.contains(room.as_str()) => return Ok(true),
            (None, Some(room)) => match notice::item(&self.origin, id, &room, finished, &self.stop)? {
                Some(item) => item,
                None => return Ok(false),
            },
            (None, None) => notice::nameless(id, finished),
        };
        let path = finished.path.display().to_string();
        if let Err(error) = self.outbox.append(std::slice::from_ref(&item), &Progress::Recording { path }) {
            self.refused = Some(item);
            return Err(error.into());
        }
        tracing::info!(event.id = %item.id, file = %finished.path.display(), room = item.room, "a recording is finished");
        Ok(true)
    }

    /// Says that a file or directory cannot be read, unless it is just gone.
    fn say_unreadable(&mut self, path: &Path, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.say(path, format!("cannot be read: {error}; is the agent's user in Jibri's group?"));
        }
    }

    fn say(&mut self, path: &Path, what: String) {
        if self.said.get(path) != Some(&what) {
            tracing::warn!(path = %path.display(), "{what}");
            self.said.insert(path.to_owned(), what);
        }
    }
}
