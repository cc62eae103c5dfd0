//! What an event must have beyond its form to be stored, and what must not be kept of it.

use contract::event::{Event, name};
use serde_json::Value;
use serde_json::value::RawValue;

use super::redaction;

/// The longest boot id and source, in bytes: they are keys.
const MAX_KEY_BYTES: usize = 255;

/// The event as it may be stored; the error says what it lacks.
pub fn accept(mut event: Event) -> Result<Event, String> {
    match event.name.as_str() {
        name::SOURCE_STARTED => {
            for member in ["boot_id", "source"] {
                let is_key = event.text(member).is_some_and(|text| text.len() <= MAX_KEY_BYTES);
                if !is_key {
                    return Err(format!(
                        "`data.{member}` must be a text of 1 to {MAX_KEY_BYTES} bytes in an event named {}",
                        name::SOURCE_STARTED
                    ));
                }
            }
        }
        name::RECORDING_COMPLETED => redact(&mut event),
        _ => {}
    }
    Ok(event)
}

/// The text is written anew only if there was anything to take out of it.
fn redact(event: &mut Event) {
    let mut data = Value::Object(std::mem::take(&mut event.data));
    let changed = redaction::redact(&mut data);
    if changed && let Ok(text) = RawValue::from_string(data.to_string()) {
        event.data_json = text;
    }
    if let Value::Object(members) = data {
        event.data = members;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(name: &str, data: &str) -> Event {
        let body = format!(r#"{{"event":"{name}","room":"r","timestamp":0,"data":{data}}}"#);
        Event::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_start_needs_boot_and_source() {
        let long = format!(r#"{{"boot_id":"{}","source":"s"}}"#, "x".repeat(256));
        for (data, expected) in [
            (r#"{"boot_id":"b","source":"s"}"#, None),
            (r#"{"source":"s"}"#, Some("`data.boot_id` must be")),
            (r#"{"boot_id":"b","source":""}"#, Some("`data.source` must be")),
            (long.as_str(), Some("`data.boot_id` must be")),
        ] {
            let error = accept(event(name::SOURCE_STARTED, data)).err();
            assert_eq!(error.is_some(), expected.is_some(), "{data}");
            assert!(error.unwrap_or_default().starts_with(expected.unwrap_or_default()), "{data}");
        }
    }

    #[test]
    fn only_a_notice_is_redacted_and_otherwise_left_as_it_was_written() {
        let notice = accept(event(name::RECORDING_COMPLETED, r#"{"token":"t","n":1.50}"#)).unwrap();
        assert_eq!(notice.data_json.get(), r#"{"n":1.5,"token":"[redacted]"}"#);
        assert_eq!(notice.text("token"), Some("[redacted]"));
        let clean = accept(event(name::RECORDING_COMPLETED, r#"{"z":1.50,"a":1}"#)).unwrap();
        assert_eq!(clean.data_json.get(), r#"{"z":1.50,"a":1}"#);
        let other = accept(event(name::OCCUPANT_JOINED, r#"{"token":"t"}"#)).unwrap();
        assert_eq!(other.data_json.get(), r#"{"token":"t"}"#);
    }
}
