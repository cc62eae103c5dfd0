//! Recordings that are kept from a finalize script which deletes what it has dealt with.
//!
//! `reflector-agent finalize --then SCRIPT` links the files of a session into a hidden directory of the same root before
//! the script runs: no copy, no space. The agent reads that directory like any root; a file has the same identity under
//! both names, so it is reported and uploaded once. A link goes when nothing waits for the file any more.

use std::collections::HashSet;
use std::fs::{self, Metadata, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::chain::Chain;
use crate::outbox::OutboxError;
use crate::outbox::log::DeliveryLog;
use crate::recordings::session::{METADATA, Session};
use crate::watch::Stop;

/// The hidden directory in a root. Session directories of Jibri are never hidden.
pub const DIRECTORY: &str = ".reflector-agent";

/// How often links that nobody needs any more are looked for.
const SWEEP: Duration = Duration::from_mins(1);

/// A link to a file that was never reported is given up after this time: its room is none of ours, or its agent is gone.
const FORGOTTEN: Duration = Duration::from_hours(24 * 30);

/// Links every file of a session directory. `subject` is the directory, or a file in it. Files that are linked already stay.
pub fn keep(subject: &Path) -> io::Result<()> {
    let subject = subject.canonicalize()?;
    let session = if subject.is_dir() { Some(subject.as_path()) } else { subject.parent() };
    let (Some(session), Some(root)) = (session, session.and_then(Path::parent)) else { return Ok(()) };
    let top = root.join(DIRECTORY);
    let kept = top.join(session.file_name().unwrap_or_default());
    for directory in [&top, &kept] {
        match fs::create_dir(directory) {
            // The agent, in the group of the recordings, removes the links again.
            Ok(()) => fs::set_permissions(directory, Permissions::from_mode(0o2770))?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
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

/// Where a file of a session directory is kept, if it is; its own path is not looked at.
pub fn link_of(path: &Path) -> Option<PathBuf> {
    let session = path.parent()?;
    let link = session.parent()?.join(DIRECTORY).join(session.file_name()?).join(path.file_name()?);
    link.is_file().then_some(link)
}

/// Removes links that nobody needs any more, again and again until the agent stops. `roots` finds the roots of the moment.
pub fn run(log: &DeliveryLog, roots: impl Fn() -> Vec<PathBuf>, stop: &Stop) {
    let mut said = HashSet::new();
    while !stop.wait(SWEEP) {
        for root in roots() {
            if let Err(error) = sweep(&root, log)
                && said.insert(root.clone())
            {
                tracing::warn!(
                    root = %root.join(DIRECTORY).display(), %error,
                    "recordings that a finalize script has dealt with cannot be removed: give the agent's group write access, or their space is never free again"
                );
            }
        }
    }
}

/// One look at the links of a root.
pub fn sweep(root: &Path, log: &DeliveryLog) -> io::Result<()> {
    let top = root.join(DIRECTORY);
    let sessions = match fs::read_dir(&top) {
        Ok(sessions) => sessions,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let (mut known, mut wanted) = (None, None);
    for kept in sessions.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        // Asked once for the first session: most roots keep nothing.
        let known = known.get_or_insert_with(|| asked(log.known_recordings()));
        let wanted = wanted.get_or_insert_with(|| asked(log.files_to_upload()));
        let (Some(known), Some(wanted)) = (known, wanted) else { return Ok(()) };
        let original = root.join(kept.file_name().unwrap_or_default());
        let mut needed = 0;
        for (link, _) in Session::read(&kept)?.media {
            let names = [original.join(link.file_name().unwrap_or_default()), link.clone()];
            let any_in =
                |set: &HashSet<String>| names.iter().any(|name| set.contains(&*name.to_string_lossy()));
            let old = fs::metadata(&link).and_then(|link| age(&link)).is_ok_and(|age| age > FORGOTTEN);
            if (any_in(known) && !any_in(wanted)) || old {
                fs::remove_file(&link)?;
                tracing::info!(file = %link.display(), reported = any_in(known), "a kept recording is not needed any more");
            } else {
                needed += 1;
            }
        }
        if needed == 0 {
            match fs::remove_file(kept.join(METADATA)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => fs::remove_dir(&kept)?,
            }
        }
    }
    Ok(())
}

fn asked<T>(answer: Result<T, OutboxError>) -> Option<T> {
    answer
        .inspect_err(|error| tracing::debug!(error = %Chain(error), "kept recordings are looked at later"))
        .ok()
}

fn age(file: &Metadata) -> io::Result<Duration> {
    SystemTime::now().duration_since(file.modified()?).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_file_outlives_a_script_that_deletes_it() {
        let directory = tempfile::tempdir().unwrap();
        let session = directory.path().join("4a0f2c1e");
        fs::create_dir(&session).unwrap();
        for (name, text) in [("a.mp4", "media"), (METADATA, "{}"), (".hidden", "x")] {
            fs::write(session.join(name), text).unwrap();
        }
        let file = session.join("a.mp4");
        assert_eq!(link_of(&file), None);
        keep(&session).unwrap();
        keep(&file).unwrap();
        fs::remove_dir_all(&session).unwrap();
        let link = link_of(&file).unwrap();
        assert_eq!(fs::read_to_string(&link).unwrap(), "media");
        let kept: Vec<_> = fs::read_dir(link.parent().unwrap()).unwrap().collect();
        assert_eq!(kept.len(), 2, "the metadata too, and nothing hidden");
    }
}
