//! One entry, in the journal's own format (`systemd.io/JOURNAL_NATIVE_PROTOCOL`).

use std::fmt::{Debug, Write};

use tracing::field::{Field, Visit};
use tracing::{Level, Metadata};

/// The most that is kept of a value, in bytes: what is longer does not fit into one datagram.
const LONGEST: usize = 16 << 10;

/// A log line that is being put together.
pub(super) struct Entry {
    level: Level,
    target: &'static str,
    text: String,
    fields: Vec<(&'static str, String)>,
}

impl Entry {
    pub(super) fn new(metadata: &Metadata<'static>) -> Self {
        Self { level: *metadata.level(), target: metadata.target(), text: String::new(), fields: Vec::new() }
    }

    /// Says that there is nothing between the last line and the next, though there should be.
    pub(super) fn of_loss(lines: u64) -> Self {
        let text = "log lines were lost, which the journal did not take in time".to_owned();
        let fields = vec![("lines", lines.to_string())];
        Self { level: Level::WARN, target: module_path!(), text, fields }
    }

    pub(super) fn priority(&self) -> u8 {
        priority(self.level)
    }

    /// The line for people: the text, then what the fields say. What is there to be counted says nothing to them.
    pub(super) fn message(&self) -> String {
        let mut message = self.text.clone();
        let shown = |name: &str| !name.starts_with("count.") && !name.starts_with("observe.");
        for (name, value) in self.fields.iter().filter(|(name, _)| shown(name)) {
            let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c.is_control());
            // Writing into a string does not fail.
            let _ =
                if plain { write!(message, " {name}={value}") } else { write!(message, " {name}={value:?}") };
        }
        message
    }

    /// As the journal takes it; `identifier` is the name under which it shows the program.
    pub(super) fn encode(&self, identifier: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        put(&mut bytes, "MESSAGE", &self.message());
        put(&mut bytes, "PRIORITY", &self.priority().to_string());
        put(&mut bytes, "SYSLOG_IDENTIFIER", identifier);
        put(&mut bytes, "TARGET", self.target);
        for (name, value) in &self.fields {
            put(&mut bytes, &journal_name(name), value);
        }
        bytes
    }

    fn take(&mut self, field: &Field, value: String) {
        if field.name() == "message" {
            self.text = value;
        } else {
            self.fields.push((field.name(), value));
        }
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, format!("{value:?}"));
    }
}

/// How grave the journal takes a level for, as in syslog.
pub(super) fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// `event.id` is `EVENT_ID`: the journal has upper case, digits and underscores, and keeps names that begin with one of
/// the latter two for itself.
fn journal_name(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    name.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).to_owned()
}

/// Appends one field. A value of several lines goes with its length, so that none of them is taken for a field.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    let value = &value.as_bytes()[..value.floor_char_boundary(LONGEST)];
    bytes.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        bytes.push(b'\n');
        bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        bytes.push(b'=');
    }
    bytes.extend_from_slice(value);
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_as_grave_as_in_syslog() {
        let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
        assert_eq!(levels.map(priority), [3, 4, 6, 7, 7]);
    }

    #[test]
    fn names_are_the_journals() {
        for (name, expected) in [("room", "ROOM"), ("event.id", "EVENT_ID"), ("_2x.é", "X__")] {
            assert_eq!(journal_name(name), expected);
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let mut bytes = Vec::new();
        put(&mut bytes, "A", &format!("x{}", "é".repeat(LONGEST)));
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.len(), "A=\n".len() + LONGEST - 1);
    }
}
