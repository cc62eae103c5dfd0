//! The live feed: each event once, as soon as the API has it, with the time it took.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::api::Meeting;
use crate::spool;
use crate::stack::Stack;
use crate::wait::eventually;

/// How long an event may take before the demo counts as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The width of the column that says whom or what an event is about.
pub(super) const WIDTH: usize = 40;

/// What has been shown of one meeting.
pub(super) struct Feed<'a> {
    stack: &'a Stack,
    meeting: &'a Meeting,
    shown: usize,
    files: usize,
}

impl<'a> Feed<'a> {
    pub(super) fn new(stack: &'a Stack, meeting: &'a Meeting) -> Self {
        Self { stack, meeting, shown: 0, files: 0 }
    }

    /// Shows events until the API has all that Prosody has written for this room.
    pub(super) fn catch_up(&mut self, out: &mut dyn Write) -> Result<()> {
        let mut problem = None;
        let arrived = eventually(PATIENCE, || match self.show_new(out) {
            Ok(complete) => complete,
            Err(error) => {
                problem = Some(error);
                true
            }
        });
        if let Some(error) = problem {
            return Err(error);
        }
        ensure!(arrived, "not every event reached the API within {PATIENCE:?}: it has {}", self.shown);
        Ok(())
    }

    /// Also waits for the notice of the finished file, and tells the time since Jibri closed `metadata.json`.
    pub(super) fn catch_up_with_recording(&mut self, media: &Path, out: &mut dyn Write) -> Result<()> {
        self.files += 1;
        self.catch_up(out)?;
        let metadata = media.with_file_name("metadata.json");
        let closed = OffsetDateTime::from(metadata.metadata()?.modified()?);
        let meeting = self.stack.client.meeting(&self.meeting.id)?;
        let notice = events(&meeting)?.iter().rfind(|event| event["type"] == "recording_completed");
        let stored = moment(&notice.context("the API tells no finished recording")?["timestamp"])?;
        let size = media.metadata()?.len() / 1024;
        writeln!(
            out,
            "  {size} KiB of video: its notice was stored {} ms after Jibri had closed metadata.json",
            (stored - closed).whole_milliseconds()
        )?;
        Ok(())
    }

    /// Shows what the API has and was not shown yet; whether that is everything.
    fn show_new(&mut self, out: &mut dyn Write) -> Result<bool> {
        let written = spool::events(&self.stack.spool())?;
        let expected =
            written.iter().filter(|event| event.room == self.meeting.room_name).count() + self.files;
        if self.shown < expected {
            let meeting = self.stack.client.meeting(&self.meeting.id)?;
            for event in &events(&meeting)?[self.shown..] {
                writeln!(out, "  {}", line(event)?)?;
                self.shown += 1;
            }
        }
        Ok(self.shown >= expected)
    }
}

fn events(meeting: &Value) -> Result<&Vec<Value>> {
    meeting["events"].as_array().context("the API's meeting has no list of events")
}

fn moment(value: &Value) -> Result<OffsetDateTime> {
    let text = value.as_str().context("an event without its time")?;
    OffsetDateTime::parse(text, &Rfc3339).with_context(|| format!("{text} is no time"))
}

/// One event as a line: when it happened, what, who, and how long it took to be stored.
fn line(event: &Value) -> Result<String> {
    let source = moment(&event["data"]["timestamp"])?;
    let stored = moment(&event["timestamp"])?;
    let (hour, minute, second, millisecond) = source.to_hms_milli();
    let name = event["type"].as_str().unwrap_or_default();
    let about = about(&event["data"]);
    let took = (stored - source).whole_milliseconds();
    Ok(format!("{hour:02}:{minute:02}:{second:02}.{millisecond:03}  {name:<24}{about:<WIDTH$}{took:>10} ms"))
}

/// Whom or what an event is about, and why it happened.
fn about(data: &Value) -> String {
    let text = |member: &str| data[member].as_str();
    let file = text("recording_file").and_then(|file| file.rsplit('/').next());
    let person = text("display_name").or_else(|| text("initiator_name"));
    let subject =
        file.map_or_else(|| person.or_else(|| text("kind")).unwrap_or_default().to_owned(), shortened);
    match text("failure_reason").or_else(|| text("reason")) {
        Some(reason) => format!("{subject} ({reason})"),
        None => subject,
    }
}

/// The last characters of a name that is too long for its column.
fn shortened(name: &str) -> String {
    match name.char_indices().rev().nth(WIDTH - 3) {
        Some((start, _)) if start > 0 => format!("…{}", &name[start..]),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_tells_when_what_who_and_how_long() {
        let event = json!({
            "type": "muc-occupant-left",
            "timestamp": "2025-01-15T10:30:00.127456Z",
            "data": { "timestamp": "2025-01-15T10:30:00.120Z", "display_name": "Bob", "reason": "kicked" },
        });
        let line = line(&event).unwrap();
        assert!(line.starts_with("10:30:00.120  muc-occupant-left       Bob (kicked)  "), "{line}");
        assert!(line.ends_with(" 7 ms"), "{line}");
    }
}
