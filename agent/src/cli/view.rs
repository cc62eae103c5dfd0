//! How deliveries are shown: tables for people, JSON for programs.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::outbox::log::{Attempt, Delivery};
use crate::outbox::model::Kind;

/// A table without lines, in the manner of `systemctl list-units`.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

/// A delivery as one JSON object.
pub(super) fn delivery_json(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id,
        "kind": delivery.kind.name(),
        "event": event_name(delivery),
        "room": delivery.room,
        "state": delivery.state.name(),
        "queued_at": rfc3339(delivery.queued_at),
        "done_at": delivery.done_at.map(rfc3339),
        "due_at": delivery.due_at.map(rfc3339),
        "status": delivery.status,
        "took_ms": delivery.took_ms,
        "attempts": delivery.attempts,
        "note": delivery.note,
        "file": delivery.file,
        "offset": delivery.file.as_ref().map(|_| delivery.offset),
    })
}

/// An attempt as one JSON object.
pub(super) fn attempt_json(attempt: &Attempt) -> Value {
    json!({
        "at": rfc3339(attempt.at),
        "status": attempt.status,
        "took_ms": attempt.took_ms,
        "note": attempt.note,
    })
}

/// What happened, in the event's own word.
pub(super) fn event_name(delivery: &Delivery) -> String {
    match delivery.kind {
        Kind::Recording => contract::event::name::RECORDING_COMPLETED.to_owned(),
        Kind::Unreadable => "(unreadable)".to_owned(),
        Kind::Event => {
            contract::event::Label::parse(&delivery.body).map_or_else(|_| "?".to_owned(), |label| label.name)
        }
    }
}

/// Text that came from elsewhere, with its control characters written out, so that it cannot steer a terminal.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// The same for bytes that should have been text: what is none is written as `\xff`.
pub(super) fn printable_bytes(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&printable(chunk.valid()));
        shown.extend(chunk.invalid().escape_ascii().map(char::from));
    }
    shown
}

/// A progress bar.
pub(super) fn bar(done: u64, of: u64) -> String {
    const WIDTH: u64 = 20;
    let part = |scale: u64| done.min(of).saturating_mul(scale).checked_div(of).unwrap_or(scale);
    let filled = usize::try_from(part(WIDTH)).unwrap_or(0);
    format!("[{:20}] {:3} %", "#".repeat(filled), part(100))
}

/// How many there are, as people say it.
pub(super) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// An optional value, or a dash.
pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// A duration in milliseconds as people say it.
pub(super) fn ago(milliseconds: i64) -> String {
    let seconds = milliseconds.max(0) / 1000;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shown_can_steer_a_terminal() {
        for (bytes, expected) in [
            (&b"{\"event\":\"a\"}"[..], "{\"event\":\"a\"}"),
            ("Zo\u{eb} \u{1f600}".as_bytes(), "Zo\u{eb} \u{1f600}"),
            (b"\x1b[2J\x07\r\n", "\\u{1b}[2J\\u{7}\\r\\n"),
            ("\u{9b}2J".as_bytes(), "\\u{9b}2J"),
            (b"half \xc3(\xff", "half \\xc3(\\xff"),
        ] {
            assert_eq!(printable_bytes(bytes), expected);
        }
    }

    #[test]
    fn a_bar_is_full_when_all_is_done() {
        for (done, of, expected) in [
            (0, 100, "[                    ]   0 %"),
            (50, 100, "[##########          ]  50 %"),
            (99, 100, "[################### ]  99 %"),
            (100, 100, "[####################] 100 %"),
            (200, 100, "[####################] 100 %"),
            (0, 0, "[####################] 100 %"),
        ] {
            assert_eq!(bar(done, of), expected);
        }
    }

    #[test]
    fn one_is_not_many() {
        let rooms: Vec<String> = [0, 1, 2].map(|number| count(number, "room", "rooms")).into();
        assert_eq!(rooms, ["0 rooms", "1 room", "2 rooms"]);
    }
}
