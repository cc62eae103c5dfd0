//! Retention: removes files of recordings from this host, if the operator wants that.
//!
//! Only what is proven to be elsewhere goes: the API read the object back from the storage and found the checksum that
//! this host computed ([`Confirmed`]), and the recording's notice is settled. A recording that stays on the host by the
//! meeting's setting (type `local`) has no such proof: the file is the only copy, and it is never removed. [`judge`] says
//! what else keeps a file, as a pure function.
//!
//! The removal is written down before the file goes, so that a crash in between leaves neither a file without its record
//! nor half a session directory. A disk too full to write that down must be relieved all the same, so there the record comes
//! after. Beside this the thread forgets, after a long time, recordings that are gone.

mod disk;
mod forget;
mod judge;
mod quiet;
mod removal;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use self::disk::Floor;
use self::judge::{Obstacle, Seen};
use self::quiet::Looks;
use crate::chain::Chain;
use crate::clock::now_ms;
use crate::config;
use crate::jibri::health::Monitor;
use crate::jibri::roots::Finder;
use crate::outbox::uploads::{Confirmed, FileIdentity};
use crate::outbox::{Outbox, OutboxError, Reader};
use crate::recordings::writers;
use crate::watch::Stop;

/// How often to look.
const EVERY: Duration = Duration::from_mins(1);

/// How often to look for recordings that are gone.
const FORGET_EVERY: Duration = Duration::from_hours(24);

/// A file that could not be removed is tried again after this.
const TRY_AGAIN: Duration = Duration::from_hours(1);

const DAY_MS: i64 = 24 * 3_600_000;

/// The part that removes files.
pub struct Retention {
    settings: config::Retention,
    finder: Finder,
    monitor: Monitor,
    outbox: Outbox,
    reader: Reader,
    stop: Stop,
    looks: Looks,
    /// Files that could not be removed, and when that was tried.
    failed: HashMap<PathBuf, Instant>,
    /// What was said, so that it is said once.
    said: HashSet<PathBuf>,
    /// Whether the last look left a disk with too little room.
    is_short: bool,
}

impl Retention {
    /// Retention as the operator wants it, for the disks on which `finder` finds recordings of the Jibri that `monitor`
    /// asks. `reader` sees the same outbox.
    pub fn new(
        settings: &config::Retention,
        finder: Finder,
        monitor: Monitor,
        outbox: Outbox,
        reader: Reader,
        stop: Stop,
    ) -> Self {
        Self {
            settings: settings.clone(),
            finder,
            monitor,
            outbox,
            reader,
            stop,
            looks: Looks::default(),
            failed: HashMap::new(),
            said: HashSet::new(),
            is_short: false,
        }
    }

    /// Looks again and again until the agent stops.
    pub fn run(mut self) {
        let mut forgot: Option<Instant> = None;
        loop {
            let mut result = self.pass(now_ms(), Instant::now()).map(|_| ());
            if result.is_ok() && forgot.is_none_or(|at| at.elapsed() >= FORGET_EVERY) {
                forgot = Some(Instant::now());
                result = forget::pass(&self.outbox, &self.stop, now_ms());
            }
            match result {
                Ok(()) => {}
                Err(OutboxError::Closed) => return,
                Err(error) => tracing::warn!("retention waits: {}", Chain(&error)),
            }
            if self.stop.wait(EVERY) {
                return;
            }
        }
    }

    /// Whether anything is ever to be removed.
    fn is_on(&self) -> bool {
        let config::Retention { delete_uploaded_after_days, keep_free_bytes, keep_free_percent } =
            self.settings;
        delete_uploaded_after_days > 0 || keep_free_bytes > 0 || keep_free_percent > 0
    }

    /// One look at every file that may go, the longest verified first. Returns how many were removed. `now` is in
    /// milliseconds since 1970, and it is `at` now by the clock that nobody sets.
    ///
    /// # Errors
    ///
    /// What the outbox did not say or take; nothing more is removed then.
    pub fn pass(&mut self, now: i64, at: Instant) -> Result<usize, OutboxError> {
        if !self.is_on() {
            return Ok(0);
        }
        let mut floor = Floor::new(&self.settings);
        for root in self.finder.find().roots {
            floor.add(&root.path);
        }
        let mut removed = 0;
        for file in self.reader.confirmed_recordings()? {
            if self.stop.is_given() {
                break;
            }
            removed += usize::from(self.consider(&file, &mut floor, now, at)?);
        }
        self.looks.end();
        let short = floor.still_short();
        if !short.is_empty() && !self.is_short {
            let paths: Vec<String> = short.iter().map(|path| path.display().to_string()).collect();
            tracing::warn!(
                "the disk with the recordings in {} has less room than [retention] asks for, and no file may be removed now: `reflector-agent status` says what waits for its upload",
                paths.join(", ")
            );
        }
        self.is_short = !short.is_empty();
        Ok(removed)
    }

    /// Removes one file if it is to go and may go.
    fn consider(
        &mut self,
        file: &Confirmed,
        floor: &mut Floor,
        now: i64,
        at: Instant,
    ) -> Result<bool, OutboxError> {
        let Some(directory) = file.path.parent() else { return Ok(false) };
        let days = i64::try_from(self.settings.delete_uploaded_after_days).unwrap_or(i64::MAX);
        let too_old = days > 0 && now - file.verified_at >= days.saturating_mul(DAY_MS);
        if !too_old && !floor.any_is_short() && file.removed_at.is_none() {
            return Ok(false);
        }
        let found = match fs::symlink_metadata(&file.path) {
            Ok(found) => found,
            Err(error) => {
                // Gone, perhaps by ourselves just before a crash: then its directory is still to be tidied.
                if error.kind() == io::ErrorKind::NotFound && file.removed_at.is_some() {
                    let quiet = self.looks.look(directory, now, at);
                    if judge::is_quiet(quiet, self.jibri_is_busy()) && !writers::is_named(directory) {
                        self.tidy(directory);
                    }
                }
                return Ok(false);
            }
        };
        let needed = floor.is_short(found.dev());
        if !(too_old || needed) {
            // A crash came before the file went, and it need not go any more.
            if file.removed_at.is_some() {
                self.outbox.note_removal(&file.id, None)?;
            }
            return Ok(false);
        }
        if self.failed.get(&file.path).is_some_and(|at| at.elapsed() < TRY_AGAIN) {
            return Ok(false);
        }
        let seen = Seen {
            notice_is_settled: file.notice_is_settled,
            is_awaited_elsewhere: file.is_open_elsewhere,
            as_uploaded: file.file,
            as_found: found.is_file().then(|| FileIdentity::of(&found)),
            quiet: self.looks.look(directory, now, at),
            jibri_is_busy: self.jibri_is_busy(),
        };
        let obstacle = judge::judge(&seen).or_else(|| in_use(&file.path, directory));
        if let Some(obstacle) = obstacle {
            if obstacle == Obstacle::Changed {
                self.say(
                    &file.path,
                    "the file is not the one that was uploaded any more; retention leaves it alone",
                );
            }
            return Ok(false);
        }
        let reason = if too_old { "age" } else { "room" };
        self.remove(file, directory, reason, now).inspect(|removed| {
            if *removed {
                floor.freed(found.dev());
            }
        })
    }

    fn remove(
        &mut self,
        file: &Confirmed,
        directory: &Path,
        reason: &'static str,
        now: i64,
    ) -> Result<bool, OutboxError> {
        let noted = self.note_if_it_fits(file, Some(now))?;
        match removal::remove(directory, &file.path, &file.file) {
            Ok(()) => {
                tracing::info!(
                    count.recordings_removed = 1, count.recordings_removed_bytes = file.file.size, reason,
                    event.id = file.id, file = %file.path.display(), sha256 = file.sha256,
                    "a recording was removed from this host; the storage holds it"
                );
                self.failed.remove(&file.path);
                self.tidy(directory);
                if !noted {
                    self.note_if_it_fits(file, Some(now))?;
                }
                Ok(true)
            }
            Err(error) => {
                if noted {
                    self.note_if_it_fits(file, None)?;
                }
                self.failed.insert(file.path.clone(), Instant::now());
                let text =
                    format!("cannot be removed: {error}; may the agent's user write to its directory?");
                self.say(&file.path, &text);
                Ok(false)
            }
        }
    }

    /// Writes down that a file is being removed, or is not. Returns whether the disk took that.
    fn note_if_it_fits(&self, file: &Confirmed, at: Option<i64>) -> Result<bool, OutboxError> {
        match self.outbox.note_removal(&file.id, at) {
            Ok(()) => Ok(true),
            Err(OutboxError::Disk(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn jibri_is_busy(&self) -> bool {
        self.monitor.health().is_some_and(|health| health.busy)
    }

    /// Removes what is left of a session directory without media.
    fn tidy(&mut self, directory: &Path) {
        if let Err(error) = removal::tidy(directory) {
            self.say(directory, &format!("what is left of the session cannot be removed: {error}"));
        }
    }

    fn say(&mut self, path: &Path, what: &str) {
        if self.said.insert(path.to_owned()) {
            tracing::warn!(path = %path.display(), "{what}");
        }
    }
}

/// Whether a process works with the file: the finalize script, for example, or what it called.
fn in_use(path: &Path, directory: &Path) -> Option<Obstacle> {
    if writers::is_written(path) {
        return Some(Obstacle::Written);
    }
    writers::is_named(directory).then_some(Obstacle::InUse)
}
