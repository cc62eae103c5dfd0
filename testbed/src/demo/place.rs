//! The demo's directory.

use std::fs::{self, File, TryLockError};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::stack::Stack;

/// A file that only a demo's directory holds.
const MARK: &str = "demo.lock";

/// A directory that belongs to this demo alone, as long as it runs.
#[derive(Debug)]
pub(super) struct Place {
    directory: PathBuf,
    /// Held locked.
    lock: File,
}

impl Drop for Place {
    /// Ends the lock by name instead of leaving it to the close: a child that is between fork and exec
    /// holds a copy of the descriptor for a moment, and the lock with it.
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

impl Place {
    /// Makes the directory empty. Refuses one that another demo uses, or that was never a demo's.
    pub(super) fn prepare(directory: &Path) -> Result<Self> {
        let mark = directory.join(MARK);
        if directory.exists() {
            let is_empty = fs::read_dir(directory)?.next().is_none();
            ensure!(
                is_empty || mark.exists(),
                "{} is in use for something else; choose another --directory",
                directory.display()
            );
        }
        fs::create_dir_all(directory)?;
        let lock = File::create(&mark)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!("another demo runs in {}", directory.display()),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.is_dir() {
                fs::remove_dir_all(&path)
            } else if path == mark {
                continue;
            } else {
                fs::remove_file(&path)
            }
            .with_context(|| path.display().to_string())?;
        }
        Ok(Self { directory: directory.canonicalize()?, lock })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The file that a shell reads to be able to run the Jitsi guide's commands.
    pub(super) fn environment(&self) -> PathBuf {
        self.directory.join("env")
    }

    /// Writes [`Place::environment`]; only its owner may read it.
    pub(super) fn write_environment(&self, stack: &Stack) -> Result<()> {
        let text = format!(
            "export REFLECTOR_API_URL={}\nexport AUTH_TOKEN={token}\nexport TOKEN={token}\nexport JITSI_WEBHOOK_SECRET={}\n",
            stack.api.url(),
            stack.secrets.webhook,
            token = stack.client.token(),
        );
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(self.environment())?;
        Ok(std::io::Write::write_all(&mut file, text.as_bytes())?)
    }
}

/// A new id for a recording session, in the form of a UUID, as jicofo makes them.
pub(super) fn session_id() -> Result<String> {
    let mut id = String::new();
    File::open("/proc/sys/kernel/random/uuid")?.read_to_string(&mut id)?;
    Ok(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_own_directory_is_emptied_and_only_once_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("demo");
        let first = Place::prepare(&directory).unwrap();
        fs::write(directory.join("left over"), "").unwrap();
        assert!(Place::prepare(&directory).unwrap_err().to_string().starts_with("another demo runs in"));
        assert!(directory.join("left over").exists());
        drop(first);
        Place::prepare(&directory).unwrap();
        assert!(!directory.join("left over").exists());

        let foreign = temporary.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("thesis.tex"), "").unwrap();
        assert!(Place::prepare(&foreign).unwrap_err().to_string().contains("in use for something else"));
        assert!(foreign.join("thesis.tex").exists());
    }
}
