//! What a webhook says.

use contract::event::format_timestamp;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use crate::db::webhook_deliveries::Chronicle;
use crate::domain::meeting::Meeting;
use crate::domain::moment::Boot;
use crate::domain::presence::{Occupant, OccupantKey};
use crate::domain::recording::File;
use crate::domain::room::{Room, Setting as _};
use crate::storage::Link;

/// Somebody was seen in a meeting for the first time.
pub const MEETING_STARTED: &str = "meeting.started";
/// A meeting is over.
pub const MEETING_ENDED: &str = "meeting.ended";
/// A recording is in the storage.
pub const RECORDING_READY: &str = "recording.ready";

/// What a webhook tells of.
#[derive(Debug)]
pub struct Subject {
    /// The meeting.
    pub meeting: Meeting,
    /// When it began and ended.
    pub chronicle: Chronicle,
    /// Its room.
    pub room: Room,
    /// Everybody who was there, machines apart.
    pub people: Vec<(OccupantKey, Occupant)>,
    /// The boots that their stays depend on.
    pub boots: Vec<Boot>,
    /// The recording, where the webhook tells of one.
    pub recording: Option<File>,
}

/// The body of the delivery `id`, which tells that `event` happened at `at`.
pub fn body(id: &str, event: &str, at: OffsetDateTime, subject: &Subject) -> String {
    let mut body = json!({
        "event": event,
        "event_id": id,
        "timestamp": format_timestamp(at),
        "room": {"id": subject.room.id, "name": subject.room.name},
        "meeting": meeting(subject),
        "participants": subject.people.iter().map(|(key, occupant)| participant(key, occupant, &subject.boots)).collect::<Vec<_>>(),
    });
    if let Some(file) = &subject.recording {
        body["recording"] = recording(file);
    }
    body.to_string()
}

/// `body` with the address of the recording that it tells of, which is good for less time than a delivery may take.
pub fn with_link(body: &str, link: Option<&Link>) -> String {
    let Ok(mut value) = serde_json::from_str::<Map<String, Value>>(body) else { return body.to_owned() };
    if let Some(recording) = value.get_mut("recording").and_then(Value::as_object_mut) {
        recording.insert("download_url".to_owned(), link.map(|link| link.url.as_str()).into());
        let expires_at = link.map(|link| format_timestamp(link.expires_at));
        recording.insert("download_expires_at".to_owned(), expires_at.into());
    }
    Value::Object(value).to_string()
}

fn meeting(Subject { meeting, chronicle, .. }: &Subject) -> Value {
    json!({
        "id": meeting.id,
        "room_name": meeting.room_name,
        "platform": meeting.settings.platform.as_str(),
        "start_date": format_timestamp(meeting.start_date),
        "end_date": format_timestamp(meeting.end_date),
        "is_active": meeting.is_active,
        "started_at": chronicle.started_at.map(format_timestamp),
        "ended_at": chronicle.ended_at.map(format_timestamp),
        "ended_reason": chronicle.ended_reason,
    })
}

fn participant(key: &OccupantKey, occupant: &Occupant, boots: &[Boot]) -> Value {
    let stay = occupant.stay(boots);
    let description = &occupant.description;
    json!({
        "id": key.occupant_id,
        "user_id": description.user_id.as_ref().map(|told| &told.text),
        "name": description.display_name.as_ref().map(|told| &told.text),
        "joined_at": stay.joined_at.map(format_timestamp),
        "left_at": stay.left_at.map(format_timestamp),
    })
}

fn recording(file: &File) -> Value {
    json!({
        "id": file.id,
        "session_id": file.session_id,
        "bucket": file.bucket,
        "object_key": file.object_key,
        "size_bytes": file.size_bytes,
        "duration_ms": file.duration_ms,
        "sha256": file.sha256,
        "started_at": file.started_at.map(format_timestamp),
        "completed_at": format_timestamp(file.completed_at),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_link_is_added_to_a_recording_and_to_nothing_else() {
        let link = Link { url: "https://s3/x?y".to_owned(), expires_at: datetime!(2026-01-31 10:30 UTC) };
        for (body, link, expected) in [
            (
                json!({"event": "recording.ready", "recording": {"id": "r"}}),
                Some(&link),
                json!({"event": "recording.ready", "recording": {"id": "r", "download_url": "https://s3/x?y",
                    "download_expires_at": "2026-01-31T10:30:00.000Z"}}),
            ),
            (
                json!({"recording": {"id": "r"}}),
                None,
                json!({"recording": {"id": "r", "download_url": null, "download_expires_at": null}}),
            ),
            (json!({"event": "meeting.ended"}), Some(&link), json!({"event": "meeting.ended"})),
        ] {
            let found: Value = serde_json::from_str(&with_link(&body.to_string(), link)).unwrap();
            assert_eq!(found, expected);
        }
    }
}
