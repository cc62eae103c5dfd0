//! The hint: a file that anybody on the host may write to, and that wakes the sources.
//!
//! Jibri's finalize script runs as Jibri's user, who may neither signal the agent nor look into its state. What it can do
//! is write a byte into this file. Nothing is ever read from it: a hint says "look now" and nothing else.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The directory of a service's passing files, as systemd makes it.
pub const RUN: &str = "/run/reflector-agent";

/// The variable in which systemd names that directory to the service itself.
pub const VARIABLE: &str = "RUNTIME_DIRECTORY";

/// The directory's name, below [`RUN`] or the outbox. A directory of its own, because directories are what is watched.
const DIRECTORY: &str = "hint";

/// The file's name.
const FILE: &str = "look-now";

/// Makes the hint's file, in the directory for passing files if there is one, else beside the outbox. Returns the directory
/// to watch.
pub fn prepare(run: Option<&OsStr>, outbox: &Path) -> io::Result<PathBuf> {
    // systemd separates several directories by colons.
    let run =
        run.and_then(|run| run.to_str()).and_then(|run| run.split(':').next()).filter(|run| !run.is_empty());
    let directory = run.map_or(outbox, Path::new).join(DIRECTORY);
    fs::create_dir_all(&directory)?;
    fs::set_permissions(&directory, Permissions::from_mode(0o755))?;
    let path = directory.join(FILE);
    let file = File::options().create(true).truncate(true).write(true).open(&path)?;
    // Written by anybody, read by nobody.
    file.set_permissions(Permissions::from_mode(0o622))?;
    Ok(directory)
}

/// Gives the hint wherever an agent may wait for it. Returns whether there was such a place.
pub fn give(outbox: &Path) -> bool {
    let places = [Path::new(RUN), outbox];
    places.map(|place| write(&place.join(DIRECTORY).join(FILE)).is_ok()).contains(&true)
}

fn write(path: &Path) -> io::Result<()> {
    File::options().write(true).truncate(true).open(path)?.write_all(b"!")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_a_byte_in_a_file_that_anybody_may_write() {
        let directory = tempfile::tempdir().unwrap();
        assert!(write(&directory.path().join("hint/look-now")).is_err(), "nobody waits for a hint yet");
        let run = directory.path().join("run");
        for (variable, expected) in [(None, directory.path()), (Some(run.as_os_str()), run.as_path())] {
            let watched = prepare(variable, directory.path()).unwrap();
            assert_eq!(watched, expected.join("hint"));
            let path = watched.join("look-now");
            write(&path).unwrap();
            write(&path).unwrap();
            let file = fs::metadata(path).unwrap();
            assert_eq!((file.len(), file.permissions().mode() & 0o777), (1, 0o622));
        }
    }
}
