//! What Jitsi hosts send, as the OpenAPI document describes it. Bodies are read more leniently, and members that are not named here are
//! kept.

use serde_json::Value;

/// One event.
#[derive(Debug, utoipa::ToSchema)]
pub struct JitsiWebhookEvent {
    /// The event's identity; where it is not said, it is derived from the body.
    #[schema(pattern = "^[A-Za-z0-9_.:-]{1,128}$")]
    pub id: Option<String>,
    /// What happened, such as `muc-occupant-joined`. Unknown names are kept.
    #[schema(pattern = "^[^\\x00-\\x1f\\x7f]+$", max_length = 128)]
    pub event: String,
    /// Where: the room's name, or its address.
    #[schema(min_length = 1, max_length = 1023)]
    pub room: String,
    /// When: RFC 3339, or seconds since 1970.
    pub timestamp: Timestamp,
    /// What else is known.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Value>,
}

/// A time, as senders write it.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Timestamp {
    /// RFC 3339.
    #[schema(format = DateTime)]
    Text(String),
    /// Seconds since 1970.
    Seconds(f64),
}

/// The notice. `reflector-agent` says more, which is kept, too.
#[derive(Debug, utoipa::ToSchema)]
pub struct JibriRecordingEvent {
    /// The room that was recorded: its name, or its address.
    #[schema(min_length = 1, max_length = 1023)]
    pub room_name: String,
    /// The file's path on the host.
    #[schema(min_length = 1)]
    pub recording_file: String,
    /// What the file is worth, such as `completed`.
    #[schema(min_length = 1)]
    pub recording_status: String,
    /// When the recording ended: RFC 3339, or seconds since 1970.
    pub timestamp: Timestamp,
}
