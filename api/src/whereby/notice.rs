//! A webhook, as an event like any other.
//!
//! The event keeps Whereby's id, type, time and data. Its room is the one that the webhook names; what tells of a finished recording
//! may name it in the file's name alone, and what names a meeting only is looked up by whoever has the database.

use contract::event::{Event, EventError};
use contract::id::EventId;
use contract::room::RoomName;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::domain::recording_object::WherebyFile;
use crate::domain::whereby;

/// The room of an event that names none. It is nobody's: Whereby's names are longer.
const NOWHERE: &str = "nowhere";

/// What Whereby sends: the schema `WherebyWebhookEvent`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a webhook, as a JSON object")]
struct Envelope<'a> {
    #[serde(rename = "apiVersion")]
    _api_version: String,
    id: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(rename = "type")]
    kind: String,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// The members of `data` that tell where something happened. They are there or not, and may be null.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    #[serde(default)]
    meeting_id: Value,
    #[serde(default)]
    room_name: Value,
    #[serde(default)]
    filename: Value,
}

/// A webhook that was read.
#[derive(Debug)]
pub struct Notice<'a> {
    envelope: Envelope<'a>,
    place: Place,
    body: &'a [u8],
}

impl<'a> Notice<'a> {
    /// Reads the body of a webhook. Members that nobody here knows are kept as they came.
    pub fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        let refused = |text| Err(serde::de::Error::custom(text));
        if body.trim_ascii_start().starts_with(b"[") {
            return refused("a webhook is a JSON object, not an array");
        }
        let envelope: Envelope<'a> = serde_json::from_slice(body)?;
        if !envelope.data.get().starts_with('{') {
            return refused("`data` must be a JSON object");
        }
        let place = serde_json::from_str(envelope.data.get())?;
        Ok(Self { envelope, place, body })
    }

    /// The bytes that it was read from.
    pub fn body(&self) -> &[u8] {
        self.body
    }

    /// The room that it names, one way or the other.
    pub fn room_name(&self) -> Option<String> {
        let named = self.place.room_name.as_str().map(whereby::room_name);
        let in_file = || Some(WherebyFile::parse(self.place.filename.as_str()?)?.room_name);
        named.filter(|name| !name.is_empty()).or_else(in_file)
    }

    /// The meeting that it names.
    pub fn meeting_id(&self) -> Option<&str> {
        self.place.meeting_id.as_str()
    }

    /// The event as JSON, in the room of this name.
    pub fn line(&self, room_name: Option<&str>) -> String {
        let id = EventId::parse(&*self.envelope.id).unwrap_or_else(|_| EventId::of_body(self.body));
        let room = room_name.filter(|name| RoomName::parse(name).is_ok()).unwrap_or(NOWHERE);
        let time = self.envelope.created_at.format(&Rfc3339).unwrap_or_default();
        let head =
            json!({"id": id, "event": self.envelope.kind, "room": room, "timestamp": time}).to_string();
        // `data` goes as it was written.
        let open = head.strip_suffix('}').unwrap_or(&head);
        format!("{open},\"data\":{}}}", self.envelope.data.get())
    }

    /// The event itself.
    pub fn event(&self, room_name: Option<&str>) -> Result<Event, EventError> {
        Event::parse(self.line(room_name).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(data: &Value) -> String {
        json!({
            "id": "9a".repeat(32), "apiVersion": "1.0", "createdAt": "2026-03-01T10:02:11.504Z", "type": "room.client.joined",
            "data": data,
        })
        .to_string()
    }

    #[test]
    fn a_webhook_is_an_event_that_keeps_what_whereby_wrote() {
        let data = r#"{"roomName":"/Standup-0b1f","displayName":"José","n":1.50}"#;
        let body = body(&json!({})).replace("\"data\":{}", &format!("\"data\":{data}"));
        let notice = Notice::parse(body.as_bytes()).unwrap();
        let event = notice.event(notice.room_name().as_deref()).unwrap();
        assert_eq!(
            (event.id.as_str(), event.name.as_str()),
            ("9a".repeat(32).as_str(), "room.client.joined")
        );
        assert_eq!(event.room.as_str(), "standup-0b1f");
        assert_eq!(event.timestamp.unix_timestamp_nanos(), 1_772_359_331_504_000_000);
        assert_eq!(event.data_json.get(), data);
    }

    #[test]
    fn its_room_is_found_wherever_it_stands() {
        for (data, expected) in [
            (json!({"roomName": "/r-1"}), Some("r-1")),
            (json!({"roomName": "r-1", "filename": "r-2-2026-03-01T10:02:20Z.mp4"}), Some("r-1")),
            (json!({"filename": "r-2-2026-03-01T10:02:20Z.mp4", "recordingId": "a9"}), Some("r-2")),
            (json!({"roomName": null, "filename": "notes.txt"}), None),
            (json!({"roomName": "/", "meetingId": "134"}), None),
            (json!({"roomName": 5}), None),
            (json!({}), None),
        ] {
            let text = body(&data);
            let notice = Notice::parse(text.as_bytes()).unwrap();
            assert_eq!(notice.room_name().as_deref(), expected, "{data}");
            let event = notice.event(notice.room_name().as_deref()).unwrap();
            assert_eq!(event.room.as_str(), expected.unwrap_or(NOWHERE));
        }
    }

    #[test]
    fn an_id_that_cannot_be_kept_is_made_of_the_body() {
        let body = body(&json!({})).replace(&"9a".repeat(32), "no id!");
        let id = || Notice::parse(body.as_bytes()).unwrap().event(None).unwrap().id;
        assert!(id().as_str().starts_with("evt_"));
        assert_eq!(id(), id());
    }

    #[test]
    fn what_is_no_webhook_is_refused() {
        let fine = body(&json!({}));
        for (body, expected) in [
            ("nonsense".to_owned(), "expected"),
            ("[]".to_owned(), "a webhook is a JSON object"),
            ("{}".to_owned(), "missing field `apiVersion`"),
            (fine.replace("\"data\":{}", "\"data\":[]"), "`data` must be a JSON object"),
            (fine.replace("\"data\":{}", "\"date\":{}"), "missing field `data`"),
            (fine.replace("2026-03-01T10:02:11.504Z", "today"), "the 'year' component could not be parsed"),
            (fine.replace("\"1.0\"", "1"), "invalid type: integer"),
        ] {
            let error = Notice::parse(body.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(expected), "{body}: {error}");
        }
    }
}
