//! Recordings that are kept from a finalize script which deletes what it has dealt with.
//!
//! `reflector-agent finalize --then SCRIPT` links the files of a session into a hidden directory of the same root before
//! the script runs: no copy, no space. The agent reads that directory like any root; a file has the same identity under
//! both names, so it is reported and uploaded once, under the name that Jibri gave it.
//!
//! A link may be the only name that is left of a recording, so it goes by a proof alone: the outbox says that this very
//! file is [released](crate::outbox::released). Only files of rooms that are never reported go
//! without.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::chain::Chain;
use crate::outbox::OutboxError;
use crate::outbox::log::DeliveryLog;
use crate::outbox::released::Held;
use crate::recordings::identity::Identity;
use crate::recordings::notice::{self, Finished, Origin};
use crate::recordings::session::{self, METADATA, Session};
use crate::recordings::sidecar::Sidecar;
use crate::rooms::Rooms;
use crate::watch::Stop;

/// The hidden directory in a root. Session directories of Jibri are never hidden.
pub const DIRECTORY: &str = ".reflector-agent";

/// How often links that nobody needs any more are looked for.
const SWEEP: Duration = Duration::from_mins(1);

/// The link to a file of a room that is none of ours goes when it was seen for so long: time to correct `api.rooms`.
const NOT_OURS: Duration = Duration::from_hours(1);

/// Links every file of a session directory. `subject` is the directory, or a file in it. Files that are linked already stay.
pub fn keep(subject: &Path) -> io::Result<()> {
    let subject = subject.canonicalize()?;
    let session = if subject.is_dir() { Some(subject.as_path()) } else { subject.parent() };
    let (Some(session), Some(root)) = (session, session.and_then(Path::parent)) else { return Ok(()) };
    let top = root.join(DIRECTORY);
    let kept = top.join(session.file_name().unwrap_or_default());
    make(&top)?;
    let _lock = lock(&top);
    make(&kept)?;
    for entry in fs::read_dir(session)?.flatten() {
        let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
        if hidden || !entry.file_type()?.is_file() {
            continue;
        }
        match fs::hard_link(entry.path(), kept.join(entry.file_name())) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes a directory in which the agent, in the group of the recordings, may remove links again.
fn make(directory: &Path) -> io::Result<()> {
    match fs::create_dir(directory) {
        Ok(()) => fs::set_permissions(directory, Permissions::from_mode(0o2770)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => is_directory(directory)?
            .then_some(())
            .ok_or_else(|| io::Error::new(ErrorKind::NotADirectory, "it is a link to somewhere else")),
        Err(error) => Err(error),
    }
}

/// Whether there is a directory, and not a link to one.
fn is_directory(path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.is_dir())
}

/// Whoever makes or removes directories below `top` has it to himself. A file system without locks has none.
fn lock(top: &Path) -> Option<File> {
    let directory = File::open(top).ok()?;
    directory.lock().ok()?;
    Some(directory)
}

/// Where a file of a session directory is kept, if it is; its own path is not looked at.
pub fn link_of(path: &Path) -> Option<PathBuf> {
    let session = path.parent()?;
    let link = session.parent()?.join(DIRECTORY).join(session.file_name()?).join(path.file_name()?);
    link.is_file().then_some(link)
}

/// What a file is called: a link has the name of the file that it keeps, unless that is another file by now.
pub fn name_of(path: &Path, inode: u64) -> PathBuf {
    let is_another = |original: &Path| match fs::symlink_metadata(original) {
        Ok(file) => file.ino() != inode,
        Err(error) => error.kind() != ErrorKind::NotFound,
    };
    original(path).filter(|original| !is_another(original)).unwrap_or_else(|| path.to_owned())
}

/// The path that a link was made of; `None` for a path that is no link's.
fn original(path: &Path) -> Option<PathBuf> {
    let session = path.parent()?;
    let top = session.parent().filter(|top| top.file_name().is_some_and(|name| name == DIRECTORY))?;
    Some(top.parent()?.join(session.file_name()?).join(path.file_name()?))
}

/// Removes links that nobody needs any more.
pub struct Sweep {
    log: DeliveryLog,
    rooms: Rooms,
    origin: Origin,
    /// Links to files of rooms that are none of ours, and since when they have been seen.
    not_ours: HashMap<PathBuf, Instant>,
    /// Links that stay until a person has looked: how many the last pass found.
    stuck: usize,
    said: HashSet<PathBuf>,
}

impl Sweep {
    /// A sweep by what the outbox says. Only files of `rooms` are ever reported.
    pub fn new(log: DeliveryLog, rooms: Rooms) -> Result<Self, OutboxError> {
        // The host's name is no part of an id.
        let origin = Origin { host: String::new(), host_id: log.host_id()? };
        Ok(Self { log, rooms, origin, not_ours: HashMap::new(), stuck: 0, said: HashSet::new() })
    }

    /// Sweeps again and again until the agent stops. `roots` finds the roots of the moment.
    pub fn run(mut self, roots: impl Fn() -> Vec<PathBuf>, stop: &Stop) {
        while !stop.wait(SWEEP) {
            if let Err(error) = self.pass(&roots(), Instant::now()) {
                tracing::debug!(error = %Chain(&error), "kept recordings are looked at later");
            }
        }
    }

    /// One look at the links in all roots. What cannot be read or removed is said once, and keeps nothing else from going.
    ///
    /// # Errors
    ///
    /// What the outbox did not say; nothing goes then.
    pub fn pass(&mut self, roots: &[PathBuf], now: Instant) -> Result<(), OutboxError> {
        let before = std::mem::take(&mut self.not_ours);
        let stuck_before = std::mem::take(&mut self.stuck);
        for root in roots {
            let top = root.join(DIRECTORY);
            let Some(true) = self.tried(&top, is_directory(&top)) else { continue };
            let Some(entries) = self.tried(&top, fs::read_dir(&top)) else { continue };
            for kept in entries.flatten().filter(session::is_one).map(|entry| entry.path()) {
                let Some(session) = self.tried(&kept, Session::read(&kept)) else { continue };
                let sidecar = Sidecar::read(&kept.join(METADATA));
                for (link, _) in session.media {
                    self.consider(&link, &sidecar, &before, now)?;
                }
                let tidied = tidy(&top, &kept);
                self.tried(&kept, tidied);
            }
        }
        if self.stuck > stuck_before {
            tracing::warn!(
                recordings = self.stuck,
                "recordings that a finalize script has dealt with were not uploaded, and stay in {DIRECTORY} below their root: `reflector-agent status` says why; remove those that nobody needs"
            );
        }
        Ok(())
    }

    /// Removes one link if nobody needs it any more.
    fn consider(
        &mut self,
        link: &Path,
        sidecar: &Sidecar,
        before: &HashMap<PathBuf, Instant>,
        now: Instant,
    ) -> Result<(), OutboxError> {
        let Some(file) = self.tried(link, fs::symlink_metadata(link)) else { return Ok(()) };
        let finished = Finished::found(link, sidecar);
        let [found, closed] = notice::ids(&self.origin, &finished, &Identity::of(&file));
        let (found, closed) = (self.log.held(found.as_str())?, self.log.held(closed.as_str())?);
        // Metadata that we may not read may name another room than the file's name does.
        let ours = matches!(sidecar, Sidecar::Withheld(_))
            || notice::room(&finished).is_none_or(|room| self.rooms.contains(room.as_str()));
        let since = *before.get(link).unwrap_or(&now);
        match fate(found, closed, ours) {
            Fate::Needed => return Ok(()),
            Fate::Stuck => {
                self.stuck += 1;
                return Ok(());
            }
            Fate::NotOurs if now - since < NOT_OURS => {
                self.not_ours.insert(link.to_owned(), since);
                return Ok(());
            }
            Fate::NotOurs | Fate::Released => {}
        }
        if self.tried(link, fs::remove_file(link)).is_some() {
            tracing::info!(file = %link.display(), ours, "a kept recording is not needed any more");
        }
        Ok(())
    }

    /// What came of it; a trouble with a path is said once. What is just gone is none.
    fn tried<T>(&mut self, path: &Path, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => {
                if self.said.insert(path.to_owned()) {
                    tracing::warn!(
                        path = %path.display(), %error,
                        "a recording that a finalize script has dealt with cannot be removed: give the agent's group write access, or its space is never free again"
                    );
                }
                None
            }
        }
    }
}

/// What is to be done about a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It stays.
    Needed,
    /// It stays until a person has looked.
    Stuck,
    /// It goes after a while: the file is never reported.
    NotOurs,
    /// It goes.
    Released,
}

/// Decides by whom the file is held for, if it was told: as it is `found` beside its metadata, and with metadata. One whose
/// metadata came after it was told is told once more, and needed until then.
fn fate(found: Option<Held>, closed: Option<Held>, ours: bool) -> Fate {
    match closed.or(found) {
        Some(Held::Nobody) => Fate::Released,
        Some(Held::Person) => Fate::Stuck,
        Some(Held::Upload) => Fate::Needed,
        None if ours => Fate::Needed,
        None => Fate::NotOurs,
    }
}

/// Removes a directory in which no media are left, with the metadata in it.
fn tidy(top: &Path, kept: &Path) -> io::Result<()> {
    let _lock = lock(top);
    if !Session::read(kept)?.media.is_empty() {
        return Ok(());
    }
    match fs::remove_file(kept.join(METADATA)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir(kept),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with a session, and its file.
    fn session(directory: &Path) -> (PathBuf, PathBuf) {
        let session = directory.join("4a0f2c1e");
        fs::create_dir(&session).unwrap();
        for (name, text) in [("a.mp4", "media"), (METADATA, "{}"), (".hidden", "x")] {
            fs::write(session.join(name), text).unwrap();
        }
        let file = session.join("a.mp4");
        (session, file)
    }

    #[test]
    fn a_kept_file_outlives_a_script_that_deletes_it() {
        let directory = tempfile::tempdir().unwrap();
        let (session, file) = session(directory.path());
        assert_eq!(link_of(&file), None);
        keep(&session).unwrap();
        keep(&file).unwrap();
        fs::remove_dir_all(&session).unwrap();
        let link = link_of(&file).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "media");
        let kept: Vec<_> = fs::read_dir(link.parent().unwrap()).unwrap().collect();
        assert_eq!(kept.len(), 2, "the metadata too, and nothing hidden");
    }

    #[test]
    fn a_link_has_the_name_of_what_it_keeps() {
        let directory = tempfile::tempdir().unwrap();
        let (session, file) = session(directory.path());
        keep(&session).unwrap();
        let link = link_of(&file).unwrap();
        let inode = fs::metadata(&link).unwrap().ino();
        assert_eq!(name_of(&file, inode), file);
        assert_eq!(name_of(&link, inode), file);
        fs::remove_file(&file).unwrap();
        assert_eq!(name_of(&link, inode), file, "and keeps it when the script has deleted that");
        fs::write(&file, "other").unwrap();
        assert_eq!(name_of(&link, inode), link, "it is another file now");
    }

    #[test]
    fn nothing_is_linked_through_a_link_to_somewhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let (session, _) = session(directory.path());
        std::os::unix::fs::symlink(elsewhere.path(), directory.path().join(DIRECTORY)).unwrap();
        assert_eq!(keep(&session).unwrap_err().kind(), ErrorKind::NotADirectory);
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_session_that_is_kept_again_while_it_is_tidied_is_kept_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (session, file) = session(directory.path());
        let top = directory.path().join(DIRECTORY);
        let kept = top.join("4a0f2c1e");
        std::thread::scope(|scope| {
            let keeping = scope.spawn(|| (0..500).for_each(|_| keep(&session).unwrap()));
            while !keeping.is_finished() {
                // Either fails when the other thread is elsewhere.
                let _ = fs::remove_file(kept.join("a.mp4"));
                let _ = tidy(&top, &kept);
            }
        });
        keep(&session).unwrap();
        assert!(link_of(&file).is_some() && kept.join(METADATA).exists());
    }

    #[test]
    fn a_link_goes_when_its_file_is_released_as_it_is_now() {
        use Held::{Nobody, Person, Upload};
        for (found, closed, ours, expected) in [
            (None, None, true, Fate::Needed),
            (None, None, false, Fate::NotOurs),
            // Told without metadata; with metadata beside it `found` and `closed` are the same.
            (Some(Upload), None, true, Fate::Needed),
            (Some(Upload), None, false, Fate::Needed),
            (Some(Person), None, true, Fate::Stuck),
            (Some(Nobody), None, true, Fate::Released),
            (Some(Nobody), Some(Upload), true, Fate::Needed),
            (Some(Nobody), Some(Person), true, Fate::Stuck),
            (Some(Upload), Some(Nobody), true, Fate::Released),
            (Some(Upload), Some(Upload), false, Fate::Needed),
            (Some(Nobody), Some(Nobody), true, Fate::Released),
            (None, Some(Nobody), true, Fate::Released),
        ] {
            assert_eq!(fate(found, closed, ours), expected, "{found:?} {closed:?} {ours}");
        }
    }
}
