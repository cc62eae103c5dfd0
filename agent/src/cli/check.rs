//! `reflector-agent check`: the code that `run` uses, and every finding it has.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{print, say};
use crate::config::Config;
use crate::jibri::roots::{Finder, Found, Origin};

pub(super) fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let whose = config.api.agent_id.as_ref().map_or_else(String::new, |id| format!(" as the agent {id}"));
    print(&format!(
        "The configuration is good: deliveries go to {}, signed with the secret from {}{whose}.",
        config.api.url, config.secret.origin
    ))?;
    let found = Finder::new(&config.recordings, &config.jibri).find();
    if config.recordings.enabled {
        for root in &found.roots {
            print(&format!("Recordings are looked for in {}: {}.", root.path.display(), root.origin))?;
        }
        for advice in &found.advice {
            say(&format!("warning: {advice}"));
        }
    }
    for directory in unreadable(config, &found) {
        say(&directory);
    }
    Ok(ExitCode::SUCCESS)
}

/// The directories that the agent is to read and that this user cannot: they may come later, or be somebody else's. A
/// directory that does not exist is told only where the operator named it.
fn unreadable(config: &Config, found: &Found) -> Vec<String> {
    let spool = config.spool.enabled.then_some(("spool.directory", &config.spool.directory, true));
    let roots = found
        .roots
        .iter()
        .filter(|_| config.recordings.enabled)
        .map(|root| ("recordings.roots", &root.path, root.origin == Origin::Operator));
    let unreadable = |(key, path, named): (&str, &PathBuf, bool)| {
        let error =
            std::fs::read_dir(path).err().filter(|error| named || error.kind() != ErrorKind::NotFound)?;
        let path = path.display();
        Some(format!(
            "warning: {key}: {path} cannot be read by this user now: {error}; until it can, nothing in it is delivered"
        ))
    };
    spool.into_iter().chain(roots).filter_map(unreadable).collect()
}
