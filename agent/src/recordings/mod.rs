//! The recordings source: finds the files that Jibri finished.
//!
//! One thread with a plain loop: wait for a change, look at the directories, decide for every media file where it stands
//! ([`mod@stage`], pure), and give those that are final to a second thread that reads them through and hands them over
//! to the outbox. Nothing is ever written into a session directory: Jibri deletes an empty one, and a file of ours would
//! keep it from doing so.
//!
//! What a look costs does not depend on how many recordings lie on the disk: a root is listed when it changed, sessions
//! in which something remains to be done are looked at every time, the others take turns.

mod handover;
pub mod identity;
mod idle;
mod memory;
pub mod metadata;
pub mod notice;
pub mod probe;
mod reader;
mod root;
pub mod session;
pub mod sidecar;
pub mod stage;
pub mod writers;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::identity::Identity;
use self::idle::Idle;
use self::memory::Memory;
use self::notice::{Finished, Origin};
use self::reader::{Job, Reader};
use self::root::Root;
use self::session::{Looks, METADATA, Session};
use self::sidecar::Sidecar;
use self::stage::{Seen, Stage, stage};
use crate::chain::Chain;
use crate::clock::now_ms;
use crate::config;
use crate::jibri::health::Monitor;
use crate::jibri::roots::Finder;
use crate::kept;
use crate::outbox::model::Progress;
use crate::outbox::{Outbox, OutboxError};
use crate::rooms::Rooms;
use crate::source::{Failure, TRY_AGAIN};
use crate::watch::{Stop, Wake, Watch};

/// Within so many periodic looks, half an hour as a rule, every settled session is compared once with how it looked.
const LOOKS_FOR_ALL: usize = 180;

/// While Jibri says that it is busy, the file that it may be busy with must have been left alone this many times as long
/// before it counts as abandoned. Not for ever: a Jibri that hangs says so, too.
const BUSY: u32 = 6;

/// The fewest settled sessions that a periodic look compares.
const AT_LEAST: usize = 16;

/// The most sessions that a periodic look compares because they changed a short while ago: the latest.
const FRESH: usize = 64;

/// Under this name is remembered what was said about Jibri's configuration.
const JIBRI: &str = "jibri";

/// The recordings source.
pub struct Recordings {
    finder: Finder,
    roots: Vec<Root>,
    monitor: Monitor,
    idle: Idle,
    patience: Duration,
    rescan: Duration,
    origin: Origin,
    rooms: Rooms,
    outbox: Outbox,
    reader: Reader,
    stop: Stop,
    watch: Watch,
    sessions: BTreeMap<PathBuf, Memory>,
    /// Those in which something remains to be done.
    open: BTreeSet<PathBuf>,
    /// The settled session that was compared last.
    compared: PathBuf,
    said: HashMap<PathBuf, String>,
    /// Where somebody may tell us to look.
    hint: Option<PathBuf>,
}

impl Recordings {
    /// Prepares looking where `finder` finds recordings, with what Jibri says to `monitor` as a hint.
    pub fn new(
        settings: &config::Recordings,
        finder: Finder,
        monitor: Monitor,
        rooms: Rooms,
        outbox: Outbox,
        stop: Stop,
    ) -> anyhow::Result<Self> {
        let patience = Duration::from_secs(settings.orphan_after_seconds);
        let origin = Origin {
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            host_id: outbox.host_id().to_owned(),
        };
        Ok(Self {
            finder,
            roots: Vec::new(),
            monitor,
            idle: Idle::default(),
            patience,
            rescan: Duration::from_secs(settings.rescan_seconds).min(patience),
            reader: Reader::start(origin.clone(), outbox.clone(), stop.for_loop("recordings-read"))?,
            origin,
            rooms,
            outbox,
            watch: Watch::new(stop.clone()),
            stop,
            sessions: BTreeMap::new(),
            open: BTreeSet::new(),
            compared: PathBuf::new(),
            said: HashMap::new(),
            hint: None,
        })
    }

    /// Looks at once, too, when something in this directory changes (see [`crate::hint`]).
    #[must_use]
    pub fn listening(self, hint: Option<PathBuf>) -> Self {
        Self { hint, ..self }
    }

    /// Looks for finished recordings until the agent stops.
    pub fn run(mut self) {
        let mut ticked: Option<Instant> = None;
        if let Some(hint) = &self.hint {
            self.watch.add(hint);
        }
        let mut look = Look::Everywhere;
        let mut trouble = None;
        loop {
            if ticked.is_none_or(|at| at.elapsed() >= self.rescan) {
                (ticked, look) = (Some(Instant::now()), Look::Everywhere);
            }
            let timeout = match self.look(look) {
                Ok(()) => {
                    trouble = None;
                    self.rescan.saturating_sub(ticked.map_or(Duration::ZERO, |at| at.elapsed()))
                }
                Err(OutboxError::Closed) => return,
                Err(error) => {
                    let what = Chain(&error).to_string();
                    if trouble.as_ref() != Some(&what) {
                        tracing::warn!(count.source_waits = 1, "recordings wait: {what}");
                        trouble = Some(what);
                    }
                    TRY_AGAIN
                }
            };
            look = match self.watch.wait(timeout) {
                Wake::Stop => return,
                Wake::Written => Look::OpenSessions,
                Wake::Changed | Wake::Timeout => Look::Roots,
            };
        }
    }

    fn look(&mut self, look: Look) -> Result<(), OutboxError> {
        // What it was reading would never be told.
        if self.reader.has_died() && !self.stop.is_given() {
            return Err(OutboxError::Closed);
        }
        for (path, error) in self.reader.troubles() {
            self.say_unreadable(&path, &error);
        }
        if look == Look::Everywhere {
            self.find_roots();
        }
        if look != Look::OpenSessions {
            self.look_at_roots();
        }
        for directory in self.open.iter().cloned().collect::<Vec<_>>() {
            self.look_at_session(&directory)?;
        }
        if look == Look::Everywhere {
            self.look_at_jibri();
            for directory in self.whose_turn_it_is() {
                self.look_at_session(&directory)?;
            }
        }
        Ok(())
    }

    /// Finds out where recordings are: Jibri may be installed, or told to write elsewhere, while the agent runs. A root stays until the agent stops: what lies in one that Jibri does not use any more
    /// is to be told all the same.
    fn find_roots(&mut self) {
        let found = self.finder.find();
        for root in found.roots {
            if self.roots.iter().all(|known| known.path != root.path) {
                tracing::info!(root = %root.path.display(), "recordings are looked for here: {}", root.origin);
                self.roots.push(Root::new(root.path));
            }
        }
        let advice = found.advice.join("; ");
        if advice.is_empty() {
            self.said.remove(Path::new(JIBRI));
        } else {
            self.say(Path::new(JIBRI), advice);
        }
    }

    /// Says when Jibri is busy and no file grows.
    fn look_at_jibri(&mut self) {
        let now = Instant::now();
        let busy = self.monitor.health().is_some_and(|health| health.busy);
        let growing = self.open_sessions().any(|session| session.grew_within(self.patience, now));
        if self.idle.is_to_be_said(busy, growing, now, self.patience) {
            let roots: Vec<String> = self.roots.iter().map(|root| root.path.display().to_string()).collect();
            tracing::warn!(
                seconds = self.patience.as_secs(),
                "Jibri says that it is busy, but no file has grown in {}: it streams, it runs a slow finalize script, it records elsewhere (`roots` in [recordings]), or it hangs (then restart it)",
                roots.join(", ")
            );
        }
    }

    /// How long a file of this session must have been left alone to count as abandoned. What Jibri says concerns the
    /// session in which something happened last.
    fn patience(&self, directory: &Path) -> Duration {
        let happened = |path: &Path| self.sessions.get(path).map(|session| session.happened);
        let latest = self.open_sessions().map(|session| session.happened).max();
        let busy = self.monitor.health().is_some_and(|health| health.busy);
        if busy && happened(directory) == latest { self.patience * BUSY } else { self.patience }
    }

    fn open_sessions(&self) -> impl Iterator<Item = &Memory> {
        self.open.iter().filter_map(|path| self.sessions.get(path))
    }

    /// Lists the roots that changed. New sessions are looked at with the open ones; what is gone is forgotten.
    fn look_at_roots(&mut self) {
        let mut seen = HashSet::new();
        for index in 0..self.roots.len() {
            self.watch.add(&self.roots[index].path);
            match self.roots[index].sessions(&mut seen) {
                Ok(None) => {}
                Ok(Some(sessions)) => self.take_listing(index, sessions),
                // Jibri makes its root at the first recording.
                Err(error) if error.kind() == io::ErrorKind::NotFound => self.take_listing(index, Vec::new()),
                Err(error) => {
                    let root = self.roots[index].path.clone();
                    self.say(&root, format!("cannot be read: {error}; recordings in it are not seen"));
                }
            }
        }
        let (roots, sessions) = (&self.roots, &self.sessions);
        self.watch.retain(|path| {
            self.hint.as_deref() == Some(path)
                || roots.iter().any(|root| root.path == path)
                || sessions.get(path).is_some_and(|session| session.watched)
        });
    }

    /// Takes in which sessions a root holds.
    fn take_listing(&mut self, index: usize, listed: Vec<PathBuf>) {
        let root = self.roots[index].path.clone();
        self.said.remove(&root);
        for (_, session) in self.sessions.iter_mut().filter(|(path, _)| path.parent() == Some(&root)) {
            session.present = false;
        }
        for directory in listed {
            if let Some(session) = self.sessions.get_mut(&directory) {
                session.present = true;
            } else {
                self.open.insert(directory.clone());
                self.sessions.entry(directory).or_default().present = true;
            }
        }
        // Jibri removes the directory of a session without media.
        self.sessions.retain(|path, session| {
            let gone = !session.present && path.parent() == Some(&root);
            if gone && session.settled.is_none() {
                tracing::info!(session = %path.display(), "a session directory is gone before a recording was finished in it");
            }
            !gone
        });
        let (roots, sessions) = (&self.roots, &self.sessions);
        self.open.retain(|path| sessions.contains_key(path));
        self.said.retain(|path, _| {
            path == Path::new(JIBRI)
                || roots.iter().any(|root| root.path == *path)
                || path.ancestors().any(|directory| sessions.contains_key(directory))
        });
    }

    /// The settled sessions whose turn it is: every one that changed a short while ago, and some of the others.
    fn whose_turn_it_is(&mut self) -> Vec<PathBuf> {
        let now = now_ns();
        let is_settled = |session: &Memory| session.settled.is_some();
        let some = (self.sessions.len() / LOOKS_FOR_ALL).max(AT_LEAST);
        let behind = (Bound::Excluded(self.compared.clone()), Bound::Unbounded);
        let turn: Vec<PathBuf> = self
            .sessions
            .range(behind)
            .filter(|(_, session)| is_settled(session))
            .map(|(path, _)| path.clone())
            .take(some)
            .collect();
        self.compared = if turn.len() < some { PathBuf::new() } else { turn[some - 1].clone() };
        let fresh = self.sessions.iter().filter_map(|(path, session)| {
            Some((session.settled.filter(|settled| settled.is_fresh(now))?, path))
        });
        let mut latest: Vec<(i128, &PathBuf)> =
            fresh.map(|(settled, path)| (-settled.newest(), path)).collect();
        latest.sort_unstable();
        turn.into_iter().chain(latest.into_iter().take(FRESH).map(|(_, path)| path.clone())).collect()
    }

    /// Looks at a session. One in which something remains to be done is watched from now on, and looked at once more, so
    /// that nothing happens unseen in between.
    fn look_at_session(&mut self, directory: &Path) -> Result<(), OutboxError> {
        if self.look_once(directory)? {
            return Ok(());
        }
        self.watch.add(directory);
        let Some(session) = self.sessions.get_mut(directory) else { return Ok(()) };
        if !std::mem::replace(&mut session.watched, true) {
            self.look_once(directory)?;
        }
        Ok(())
    }

    /// Returns whether nothing remains to be done.
    fn look_once(&mut self, directory: &Path) -> Result<bool, OutboxError> {
        if self.stop.is_given() {
            return Ok(true);
        }
        let session = match Session::read(directory) {
            Ok(session) => session,
            Err(error) => {
                self.say_unreadable(directory, &error);
                return Ok(false);
            }
        };
        let settled = session.settled();
        let Some(memory) = self.sessions.get_mut(directory) else { return Ok(true) };
        if memory.settled == Some(settled) {
            return Ok(true);
        }
        if memory.settled.take().is_some() {
            self.open.insert(directory.to_owned());
        }
        memory.happened = session.newest();
        if !self.look_at_files(directory, &session)? || session.is_awaited(now_ns()) {
            return Ok(false);
        }
        self.said.retain(|path, _| !path.starts_with(directory));
        self.open.remove(directory);
        if let Some(memory) = self.sessions.get_mut(directory) {
            memory.settle(settled);
        }
        Ok(true)
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

    /// Decides about one media file; has it read if it is final. Returns whether nothing remains to be done for it.
    fn look_at_file(
        &mut self,
        directory: &Path,
        path: &Path,
        looks: (Looks, Option<Looks>),
        sidecar: &Sidecar,
    ) -> Result<bool, Failure> {
        let (media, beside) = looks;
        let metadata_is_newer = beside.is_some_and(|beside| beside.modified >= media.modified);
        let memory = self.sessions.get_mut(directory);
        let unchanged = memory.map_or(Duration::ZERO, |memory| memory.unchanged(path, looks, Instant::now()));
        let patience = if unchanged < self.patience { self.patience } else { self.patience(directory) };
        let has_writer = unchanged >= patience && writers::is_written(path);
        let stage = stage(&Seen { metadata: sidecar, metadata_is_newer, unchanged, has_writer }, patience);
        let finished_at = match stage {
            Stage::Growing => return Ok(false),
            Stage::Abandoned => media.modified,
            Stage::Closed | Stage::LeftAlone => {
                beside.map_or(media.modified, |beside| beside.modified.max(media.modified))
            }
        };
        let session = directory.file_name().unwrap_or_default().to_string_lossy();
        let metadata = sidecar.metadata();
        self.finish(&Finished { path, session, stage, metadata, finished_at }, media)
    }

    /// Has a finished file read and told, unless that was done before. Returns whether nothing remains to be done.
    fn finish(&mut self, finished: &Finished<'_>, looks: Looks) -> Result<bool, Failure> {
        let identity = Identity::of(&fs::metadata(finished.path)?);
        if identity.looks() != looks {
            return Ok(false);
        }
        let [id, with_metadata] = notice::ids(&self.origin, finished, &identity);
        if self.reader.has(&id) {
            return Ok(false);
        }
        for told in [&id, &with_metadata] {
            if self.outbox.recording_is_queued(told.as_str())? {
                return Ok(true);
            }
        }
        let path = finished.path.to_owned();
        match notice::room(finished) {
            Some(room) if !self.rooms.contains(room.as_str()) => Ok(true),
            Some(room) => {
                let (stage, finished_at) = (finished.stage, finished.finished_at);
                self.reader.take(Job { id, room, path, identity, stage, finished_at })?;
                Ok(false)
            }
            None => {
                let name = kept::name_of(&path, identity.inode);
                let progress = Progress::Recording { path: name.display().to_string() };
                let named = Finished { path: &name, ..finished.clone() };
                self.outbox.append(&[notice::nameless(id, &named)], &progress)?;
                Ok(true)
            }
        }
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

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Only where something remains to be done: a recording is written to all the time.
    OpenSessions,
    /// There, and at the roots.
    Roots,
    /// There, and at settled sessions, too.
    Everywhere,
}

/// The time in nanoseconds since 1970.
fn now_ns() -> i128 {
    i128::from(now_ms()) * 1_000_000
}
