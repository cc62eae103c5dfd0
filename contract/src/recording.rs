//! The notice that a recording file is finished: `POST /v1/jibri/recording-complete`.
//!
//! The guide's finalize script sends the four required members. `reflector-agent` adds the rest. The API keeps the
//! notice as an event named `recording_completed` whose `data` is the body.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use time::OffsetDateTime;

use crate::event::{self, Event, EventError};
use crate::id::EventId;
use crate::room::RoomName;
use crate::utc;

/// The body of a recording notice, as the agent writes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RecordingComplete {
    /// The notice's identity: one per recording file.
    pub id: EventId,
    /// The room that was recorded.
    pub room_name: RoomName,
    /// The file's absolute path on the Jibri host.
    pub recording_file: String,
    /// What the file is worth.
    pub recording_status: RecordingStatus,
    /// When the recording was found complete on disk (the `metadata.json`'s or the media file's modification time).
    #[serde(with = "utc")]
    #[cfg_attr(feature = "schema", schema(value_type = String, format = DateTime))]
    pub timestamp: OffsetDateTime,
    /// The name of Jibri's session directory.
    pub session_id: String,
    /// The host that holds the file.
    pub host: String,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// Lower-case hexadecimal SHA-256 of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The media's duration in milliseconds, where the container tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// The meeting's address from `metadata.json`, without token or query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meeting_url: Option<String>,
    /// Prosody's `meetingId`, where a module put it into `metadata.json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meeting_session_id: Option<String>,
    /// The participants that the recorder saw, as `metadata.json` lists them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub participants: Vec<Value>,
    /// The bucket that a verified upload of the file is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    /// The object's key in that bucket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_key: Option<String>,
    /// Why the file is on the host alone although it was to be uploaded, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload_note: Option<String>,
}

/// What a finished recording file is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecordingStatus {
    /// The media file is whole and Jibri wrote its metadata.
    Completed,
    /// The media file cannot be played as it is: its index was never written.
    Truncated,
    /// The media file is playable, but Jibri died before it wrote metadata.
    Orphaned,
}

/// Reads a recording notice, from any sender, as the event it is stored as.
pub fn parse(body: &[u8]) -> Result<Event, EventError> {
    #[derive(Deserialize)]
    #[serde(expecting = "a recording notice, as a JSON object")]
    struct Members {
        #[serde(default)]
        id: Option<String>,
        room_name: String,
        #[serde(rename = "recording_file")]
        _recording_file: String,
        #[serde(rename = "recording_status")]
        _recording_status: String,
        timestamp: Value,
    }
    #[derive(Serialize)]
    struct Envelope<'a> {
        id: EventId,
        event: &'a str,
        room: &'a str,
        timestamp: &'a Value,
        data: &'a RawValue,
    }
    event::refuse_array(body)?;
    let members: Members = serde_json::from_slice(body).map_err(event::classify)?;
    let data: &RawValue = serde_json::from_slice(body).map_err(event::classify)?;
    let id = members.id.map(EventId::parse).transpose().map_err(EventError::Id)?;
    let envelope = Envelope {
        id: id.unwrap_or_else(|| EventId::of_body(body)),
        event: event::name::RECORDING_COMPLETED,
        room: &members.room_name,
        timestamp: &members.timestamp,
        data,
    };
    Event::parse(&serde_json::to_vec(&envelope).map_err(EventError::Json)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guides_notice_becomes_an_event() {
        let body = br#"{"room_name":"reflector-test-room-uuid","recording_file":"/recordings/test.mp4","recording_status":"completed","timestamp":"2025-01-15T10:30:00.000Z"}"#;
        let event = parse(body).unwrap();
        assert_eq!(event.name, event::name::RECORDING_COMPLETED);
        assert_eq!(event.room.as_str(), "reflector-test-room-uuid");
        assert_eq!(event.text("recording_file"), Some("/recordings/test.mp4"));
        assert_eq!(event.id, EventId::of_body(body));
        assert_eq!(event.data_json.get().as_bytes(), body);
    }

    #[test]
    fn what_the_agent_writes_it_can_read_again() {
        let body = serde_json::json!({
            "id": "rec_1", "room_name": "r", "recording_file": "/r/s/r.mp4", "recording_status": "completed",
            "timestamp": "2026-01-31T10:30:00.000Z", "session_id": "s", "host": "jibri-1", "size_bytes": 5,
        });
        let notice: RecordingComplete = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(serde_json::to_value(&notice).unwrap(), body);
        let stored = RecordingComplete { bucket: Some("b".into()), object_key: Some("k".into()), ..notice };
        let event = parse(&serde_json::to_vec(&stored).unwrap()).unwrap();
        assert_eq!((event.text("bucket"), event.text("object_key")), (Some("b"), Some("k")));
    }

    #[test]
    fn a_notice_without_its_file_is_refused_by_name() {
        let error = parse(br#"{"room_name":"r","recording_status":"completed","timestamp":0}"#).unwrap_err();
        assert!(error.to_string().starts_with("missing field `recording_file`"), "{error}");
    }
}
