//! `reflector-agent check`: the code that `run` uses, and every finding it has.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{print, say};
use crate::config::Config;

pub(super) fn check(config: &Config) -> anyhow::Result<ExitCode> {
    print(&format!(
        "The configuration is good: deliveries go to {}, signed with the secret from {}.",
        config.api.url, config.secret.origin
    ))?;
    for directory in unreadable(config) {
        say(&directory);
    }
    Ok(ExitCode::SUCCESS)
}

/// The directories that the agent is to read and that this user cannot: they may come later, or be somebody else's.
fn unreadable(config: &Config) -> Vec<String> {
    let spool = config.spool.enabled.then_some(("spool.directory", &config.spool.directory));
    let roots = config
        .recordings
        .roots
        .iter()
        .filter(|_| config.recordings.enabled)
        .map(|root| ("recordings.roots", root));
    let unreadable = |(key, path): (&str, &PathBuf)| {
        let error = std::fs::read_dir(path).err()?;
        let path = path.display();
        Some(format!(
            "warning: {key}: {path} cannot be read by this user now: {error}; until it can, nothing in it is delivered"
        ))
    };
    spool.into_iter().chain(roots).filter_map(unreadable).collect()
}
