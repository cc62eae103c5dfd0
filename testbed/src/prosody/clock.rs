//! Which time it is for Prosody: libfaketime's, which needs nothing of Prosody or its modules.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The time that Prosody sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// The system's.
    System,
    /// So many times as fast as the system's, timers and waits included.
    Faster(u32),
    /// The system's until [`Prosody::advance_clock`](super::Prosody::advance_clock) says otherwise; timers stay as they are.
    Movable,
}

impl Clock {
    /// Makes `command` see this time; `directory` keeps what says how far it is moved.
    pub(super) fn apply(&self, command: &mut Command, directory: &Path) -> Result<()> {
        match self {
            Self::System => return Ok(()),
            Self::Faster(times) => command.env("FAKETIME", format!("+0 x{times}")),
            Self::Movable => {
                move_by(directory, 0)?;
                command
                    .env("FAKETIME_TIMESTAMP_FILE", offset_file(directory))
                    .env("FAKETIME_NO_CACHE", "1")
                    .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            }
        };
        command.env("LD_PRELOAD", library()?);
        Ok(())
    }
}

/// Moves the clock of a Prosody in `directory` to so many seconds after the system's.
pub(super) fn move_by(directory: &Path, seconds: u32) -> Result<()> {
    let file = offset_file(directory);
    let new = file.with_extension("new");
    fs::write(&new, format!("+{seconds}\n"))?;
    Ok(fs::rename(new, file)?)
}

fn offset_file(directory: &Path) -> PathBuf {
    directory.join("clock")
}

/// Where Debian keeps libfaketime: `/usr/lib/<machine>/faketime/`.
fn library() -> Result<PathBuf> {
    fs::read_dir("/usr/lib")?
        .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketime.so.1")))
        .find(|path| path.exists())
        .context("libfaketime is not installed; run: make setup")
}
