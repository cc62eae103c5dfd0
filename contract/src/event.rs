//! One event, as it stands in a spool line and in a request body.
//!
//! ```json
//! {"id":"evt_0190b7c2…","event":"muc-occupant-joined","room":"reflector-my-room-uuid123",
//!  "timestamp":"2025-01-15T10:30:00.000Z","data":{"occupant_id":"a1b2c3d4","display_name":"John Doe"}}
//! ```
//!
//! `data` is an open object: members that nobody here knows are kept as they came. Names of events are open too; the
//! ones that have a meaning are constants in [`name`].

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::id::EventId;
use crate::room::RoomName;

/// The longest event that is accepted, in bytes of JSON. A longer line is parked by the agent and refused by the API.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

/// The longest event name that is accepted, in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// The event names that have a meaning. Others are stored as they are.
pub mod name {
    /// A boot of the module that writes events began. `room` names the module's host; what earlier boots of the same
    /// `data.source` left open is closed.
    pub const SOURCE_STARTED: &str = "source-started";
    /// A room came to life.
    pub const ROOM_CREATED: &str = "muc-room-created";
    /// A room ended.
    pub const ROOM_DESTROYED: &str = "muc-room-destroyed";
    /// An occupant came in.
    pub const OCCUPANT_JOINED: &str = "muc-occupant-joined";
    /// An occupant was renamed or promoted.
    pub const OCCUPANT_UPDATED: &str = "muc-occupant-updated";
    /// An occupant went, or was made to.
    pub const OCCUPANT_LEFT: &str = "muc-occupant-left";
    /// A recording began.
    pub const RECORDING_ON: &str = "jibri-recording-on";
    /// A recording ended; with `data.failure_reason` when it failed.
    pub const RECORDING_OFF: &str = "jibri-recording-off";
    /// A recording's file is finished.
    pub const RECORDING_COMPLETED: &str = "recording_completed";
    /// A test of secret, clock and connection. Acknowledged for any room.
    pub const TEST: &str = "test";
}

/// One event, checked.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its identity; derived from the body's bytes where the body names none.
    pub id: EventId,
    /// What happened: one of [`name`], or any other name.
    pub name: String,
    /// Where.
    pub room: RoomName,
    /// When, by the clock of the place where it happened.
    pub timestamp: OffsetDateTime,
    /// The `data` object, parsed.
    pub data: Map<String, Value>,
    /// The `data` object as it was written: what is stored, so that no number or key order is changed on the way.
    pub data_json: Box<RawValue>,
}

/// Why bytes are not an event. Says what is wrong and with which member.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Not JSON at all, or not UTF-8.
    #[error("not valid JSON: {0}")]
    Json(serde_json::Error),
    /// JSON, but not with the documented members.
    #[error("{0}")]
    Shape(serde_json::Error),
    /// Longer than [`MAX_EVENT_BYTES`].
    #[error("an event has at most {MAX_EVENT_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// A JSON array. Refused by name, because a lenient reader would take its items for an event's members.
    #[error("an event is a JSON object, not an array")]
    Array,
    /// `id` is not an event id.
    #[error("`id`: {0}")]
    Id(crate::id::IdError),
    /// `room` names no room.
    #[error("`room`: {0}")]
    Room(crate::room::RoomError),
    /// `event` is empty, too long or has control characters.
    #[error("`event` must have 1 to {MAX_NAME_BYTES} bytes and no control characters")]
    Name,
    /// `timestamp` is neither RFC 3339 nor epoch seconds.
    #[error("`timestamp` must be RFC 3339 with an offset, or seconds since 1970, not {0}")]
    Timestamp(String),
    /// A string holds U+0000, which no database column of ours can hold.
    #[error("`data` must not contain the character U+0000")]
    Nul,
}

#[derive(Deserialize)]
#[serde(expecting = "an event, as a JSON object")]
struct Envelope<'a> {
    #[serde(default, deserialize_with = "text")]
    id: Option<String>,
    event: String,
    room: String,
    timestamp: Value,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl Event {
    /// Reads one event from the bytes of a request body or a spool line.
    ///
    /// An event without `id` gets one from its bytes ([`EventId::of_body`]).
    pub fn parse(body: &[u8]) -> Result<Self, EventError> {
        if body.len() > MAX_EVENT_BYTES {
            return Err(EventError::TooLong(body.len()));
        }
        refuse_array(body)?;
        let envelope: Envelope = serde_json::from_slice(body).map_err(classify)?;
        let data_json = envelope.data.map_or_else(empty_object, ToOwned::to_owned);
        let data: Map<String, Value> = serde_json::from_str(data_json.get())
            .map_err(|error| EventError::Shape(serde::de::Error::custom(format!("`data`: {error}"))))?;
        if data.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)) {
            return Err(EventError::Nul);
        }
        Ok(Self {
            id: match envelope.id {
                Some(id) => EventId::parse(id).map_err(EventError::Id)?,
                None => EventId::of_body(body),
            },
            name: checked_name(envelope.event)?,
            room: RoomName::parse(&envelope.room).map_err(EventError::Room)?,
            timestamp: parse_timestamp(&envelope.timestamp)?,
            data,
            data_json,
        })
    }

    /// A text member of `data`; `None` when absent, not text, or empty.
    pub fn text(&self, member: &str) -> Option<&str> {
        self.data.get(member).and_then(Value::as_str).filter(|text| !text.is_empty())
    }
}

/// What the agent has to know of an event to carry it: which one it is and which room's order it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The event's id, if the line names one.
    pub id: Option<EventId>,
    /// The event's room.
    pub room: RoomName,
    /// The event's name.
    pub name: String,
}

impl Label {
    /// Reads the label and checks that the rest is JSON, without building the rest in memory.
    pub fn parse(line: &[u8]) -> Result<Self, EventError> {
        #[derive(Deserialize)]
        #[serde(expecting = "an event, as a JSON object")]
        struct Members {
            #[serde(default, deserialize_with = "text")]
            id: Option<String>,
            event: String,
            room: String,
        }
        refuse_array(line)?;
        let members: Members = serde_json::from_slice(line).map_err(classify)?;
        Ok(Self {
            id: members.id.map(EventId::parse).transpose().map_err(EventError::Id)?,
            room: RoomName::parse(&members.room).map_err(EventError::Room)?,
            name: checked_name(members.event)?,
        })
    }
}

/// An id that is there is text; `null` is not the same as none.
fn text<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

pub(crate) fn refuse_array(json: &[u8]) -> Result<(), EventError> {
    if json.trim_ascii_start().starts_with(b"[") { Err(EventError::Array) } else { Ok(()) }
}

pub(crate) fn classify(error: serde_json::Error) -> EventError {
    if error.is_data() { EventError::Shape(error) } else { EventError::Json(error) }
}

fn empty_object() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("an empty object is JSON")
}

fn checked_name(name: String) -> Result<String, EventError> {
    let acceptable = !name.is_empty() && name.len() <= MAX_NAME_BYTES && !name.chars().any(char::is_control);
    if acceptable { Ok(name) } else { Err(EventError::Name) }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// RFC 3339 text, or a number of seconds since 1970 as the existing API also takes. The result is in UTC, and in the years
/// 1 to 9999: what RFC 3339 can say again.
pub(crate) fn parse_timestamp(value: &Value) -> Result<OffsetDateTime, EventError> {
    let refused = || EventError::Timestamp(value.to_string());
    let time = match value {
        Value::String(text) => OffsetDateTime::parse(text, &Rfc3339).ok(),
        Value::Number(number) => {
            number.as_f64().filter(|seconds| seconds.abs() < 1e12).and_then(from_seconds)
        }
        _ => None,
    };
    let utc = time.and_then(|time| time.checked_to_offset(UtcOffset::UTC));
    utc.filter(|utc| (1..=9999).contains(&utc.year())).ok_or_else(refused)
}

/// Microseconds are kept, as the database does.
fn from_seconds(seconds: f64) -> Option<OffsetDateTime> {
    #[expect(clippy::cast_possible_truncation, reason = "below 1e12 seconds the microseconds fit an i128")]
    let microseconds = (seconds * 1e6).round() as i128;
    OffsetDateTime::from_unix_timestamp_nanos(microseconds * 1000).ok()
}

/// `time` in UTC with milliseconds: the form in which this project writes timestamps.
pub fn format_timestamp(time: OffsetDateTime) -> String {
    let utc = time.to_offset(UtcOffset::UTC);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        utc.year(),
        u8::from(utc.month()),
        utc.day(),
        utc.hour(),
        utc.minute(),
        utc.second(),
        utc.millisecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const GUIDE: &[u8] = br#"{"event":"muc-occupant-joined","room":"reflector-my-room-uuid123","timestamp":"2025-01-15T10:30:00.000Z","data":{"occupant_id":"participant-456","nick":"John Doe","role":"participant","affiliation":"none"}}"#;

    #[test]
    fn the_guides_event_is_an_event() {
        let event = Event::parse(GUIDE).unwrap();
        assert_eq!(event.name, name::OCCUPANT_JOINED);
        assert_eq!(event.room.as_str(), "reflector-my-room-uuid123");
        assert_eq!(event.timestamp, datetime!(2025-01-15 10:30 UTC));
        assert_eq!(event.text("nick"), Some("John Doe"));
        assert_eq!(event.id, EventId::of_body(GUIDE));
    }

    #[test]
    fn what_is_wrong_with_an_event_is_said() {
        let deep = format!(
            r#"{{"event":"e","room":"r","timestamp":0,"data":{{"x":{}{}}}}}"#,
            "[".repeat(1000),
            "]".repeat(1000)
        );
        for (body, expected) in [
            ("", "not valid JSON: EOF"),
            ("nonsense", "not valid JSON: expected"),
            ("[]", "an event is a JSON object"),
            (r#"["evt_1","e","r",0,{}]"#, "an event is a JSON object"),
            (r#"{"room":"r","timestamp":0}"#, "missing field `event`"),
            (r#"{"event":"","room":"r","timestamp":0}"#, "`event` must have"),
            (r#"{"event":"e","room":"@x","timestamp":0}"#, "`room`: a room name must not be empty"),
            (r#"{"event":"e","room":"r","timestamp":"yesterday"}"#, "`timestamp` must be"),
            (r#"{"event":"e","room":"r","timestamp":null}"#, "`timestamp` must be"),
            (r#"{"event":"e","room":"r","timestamp":0,"data":[]}"#, "`data`: invalid type"),
            (r#"{"id":null,"event":"e","room":"r","timestamp":0}"#, "invalid type: null"),
            (r#"{"id":"a b","event":"e","room":"r","timestamp":0}"#, "`id`: an id holds only"),
            (
                "{\"event\":\"e\",\"room\":\"r\",\"timestamp\":0,\"data\":{\"a\":[\"\\u0000\"]}}",
                "`data` must not",
            ),
            (deep.as_str(), "`data`: recursion limit"),
        ] {
            let error = Event::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{body:.60}: {error}");
        }
        assert!(matches!(Event::parse(b"{\"event\":\"\xff\"}"), Err(EventError::Json(_))));
        assert!(matches!(Event::parse(&vec![b' '; MAX_EVENT_BYTES + 1]), Err(EventError::TooLong(_))));
    }

    #[test]
    fn data_is_kept_as_it_was_written() {
        let event = Event::parse(
            br#"{"event":"e","room":"r","timestamp":0,"data":{"z":1.10,"a":123456789012345678901}}"#,
        );
        assert_eq!(event.unwrap().data_json.get(), r#"{"z":1.10,"a":123456789012345678901}"#);
    }

    #[test]
    fn a_timestamp_is_text_or_seconds() {
        for (json, expected) in [
            (r#""2025-01-15T10:30:00Z""#, datetime!(2025-01-15 10:30 UTC)),
            (r#""2025-01-15T12:30:00.5+02:00""#, datetime!(2025-01-15 10:30:00.5 UTC)),
            ("1736937000", datetime!(2025-01-15 10:30 UTC)),
            ("1736937000.25", datetime!(2025-01-15 10:30:00.25 UTC)),
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(parse_timestamp(&value).unwrap(), expected, "{json}");
        }
        for json in [
            "true",
            "1e300",
            "-9e10",
            "1e12",
            r#""2025-01-15 10:30""#,
            r#""9999-12-31T23:59:59-12:00""#,
            r#""0001-01-01T00:00:00+14:00""#,
            r#""0000-06-01T00:00:00Z""#,
        ] {
            let value: Value = serde_json::from_str(json).unwrap();
            assert!(parse_timestamp(&value).is_err(), "{json}");
        }
    }

    #[test]
    fn a_label_reads_the_same_id_and_room_as_the_whole_event() {
        let line =
            br#"{"id":"evt_1","event":"e","room":"R@conference.x","timestamp":0,"data":{"n":{"m":[1]}}}"#;
        let (label, event) = (Label::parse(line).unwrap(), Event::parse(line).unwrap());
        assert_eq!((label.id.unwrap(), label.room, label.name), (event.id, event.room, event.name));
    }

    #[test]
    fn a_timestamp_is_written_in_utc_with_milliseconds() {
        assert_eq!(format_timestamp(datetime!(2025-01-05 01:02:03.004_999 +1)), "2025-01-05T00:02:03.004Z");
    }
}
