//! What the event module has written: every event of a spool directory, in order.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

/// One line of a segment.
#[derive(Debug, Clone, Deserialize)]
pub struct SpoolEvent {
    /// The event's id.
    pub id: String,
    /// What happened.
    pub event: String,
    /// The room's name.
    pub room: String,
    /// When it happened: RFC 3339, UTC, milliseconds.
    pub timestamp: String,
    /// The rest.
    pub data: Map<String, Value>,
}

impl SpoolEvent {
    /// A member of `data` as text; empty when it is absent.
    pub fn text(&self, member: &str) -> &str {
        self.data.get(member).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The segments of a spool directory in the order in which they were written.
pub fn segments(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// All complete lines of all segments. A line that is not an event is an error.
pub fn events(directory: &Path) -> Result<Vec<SpoolEvent>> {
    let mut events = Vec::new();
    for path in segments(directory)? {
        let text = fs::read_to_string(&path)?;
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let event = serde_json::from_str(line).with_context(|| format!("{}: {line}", path.display()))?;
            events.push(event);
        }
    }
    Ok(events)
}

/// The ids of all events; an id that occurs twice is an error.
pub fn ids(directory: &Path) -> Result<BTreeSet<String>> {
    let mut ids = BTreeSet::new();
    for event in events(directory)? {
        if !ids.insert(event.id.clone()) {
            bail!("the spool holds {} twice", event.id);
        }
    }
    Ok(ids)
}
