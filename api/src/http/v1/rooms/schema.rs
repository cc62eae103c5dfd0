//! What callers send about rooms, as the OpenAPI document describes it. Bodies are read member by member, and more leniently, so that
//! all findings can be reported at once.

use crate::domain::room::{Platform, RecordingTrigger, RecordingType, RoomMode};

/// A new room.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = CreateRoom)]
#[expect(clippy::struct_excessive_bools, reason = "the schema's own form")]
pub struct CreateRoomBody {
    /// The name that leads into the room: letters, digits and hyphens, as the platform takes them.
    #[schema(pattern = "^[a-z0-9-]+$", max_length = 128)]
    pub name: String,
    /// The product that carries the meetings. Where it is not said, the server chooses.
    #[schema(value_type = Platform, required = false)]
    pub platform: Option<Platform>,
    /// Whether people must be let in.
    pub is_locked: bool,
    /// How many people the room is laid out for.
    pub room_mode: RoomMode,
    /// Where a recording is kept.
    pub recording_type: RecordingType,
    /// What starts a recording.
    pub recording_trigger: RecordingTrigger,
    /// Whether every user sees the room in their list.
    #[schema(required = false, default = false)]
    pub is_shared: bool,
    /// Whether the transcript is posted to Zulip.
    #[schema(required = false, default = false)]
    pub zulip_auto_post: bool,
    /// The Zulip stream to post to.
    #[schema(required = false, default = "")]
    pub zulip_stream: String,
    /// The Zulip topic to post to.
    #[schema(required = false, default = "")]
    pub zulip_topic: String,
    /// The address that is told what happens; empty for none.
    #[schema(pattern = "^(https?://.+)?$")]
    pub webhook_url: Option<String>,
    /// The secret that signs what is sent there. Where there is none, the server makes one.
    pub webhook_secret: Option<String>,
    /// The address of the room's calendar.
    pub ics_url: Option<String>,
    /// How often it is fetched, in seconds.
    #[schema(required = false, default = 300, minimum = 1)]
    pub ics_fetch_interval: u32,
    /// Whether it is fetched.
    #[schema(required = false, default = false)]
    pub ics_enabled: bool,
    /// Whether participants are not asked for their consent to be recorded.
    #[schema(required = false, default = false)]
    pub skip_consent: bool,
}

/// Changes of a room. What is not mentioned stays as it is.
#[derive(Debug, utoipa::ToSchema)]
#[schema(as = UpdateRoom)]
pub struct UpdateRoomBody {
    /// The name that leads into the room: letters, digits and hyphens, as the platform takes them.
    #[schema(value_type = String, required = false, pattern = "^[a-z0-9-]+$", max_length = 128)]
    pub name: Option<String>,
    /// The product that carries the next meetings.
    #[schema(value_type = Platform, required = false)]
    pub platform: Option<Platform>,
    /// Whether people must be let in.
    #[schema(value_type = bool, required = false)]
    pub is_locked: Option<bool>,
    /// How many people the room is laid out for.
    #[schema(value_type = RoomMode, required = false)]
    pub room_mode: Option<RoomMode>,
    /// Where a recording is kept.
    #[schema(value_type = RecordingType, required = false)]
    pub recording_type: Option<RecordingType>,
    /// What starts a recording.
    #[schema(value_type = RecordingTrigger, required = false)]
    pub recording_trigger: Option<RecordingTrigger>,
    /// Whether every user sees the room in their list.
    #[schema(value_type = bool, required = false)]
    pub is_shared: Option<bool>,
    /// Whether the transcript is posted to Zulip.
    #[schema(value_type = bool, required = false)]
    pub zulip_auto_post: Option<bool>,
    /// The Zulip stream to post to.
    #[schema(value_type = String, required = false)]
    pub zulip_stream: Option<String>,
    /// The Zulip topic to post to.
    #[schema(value_type = String, required = false)]
    pub zulip_topic: Option<String>,
    /// The address that is told what happens; empty for none.
    #[schema(pattern = "^(https?://.+)?$")]
    pub webhook_url: Option<String>,
    /// The secret that signs what is sent there. Where there is none, the server makes one.
    pub webhook_secret: Option<String>,
    /// The address of the room's calendar.
    pub ics_url: Option<String>,
    /// How often it is fetched, in seconds.
    #[schema(value_type = u32, required = false, minimum = 1)]
    pub ics_fetch_interval: Option<u32>,
    /// Whether it is fetched.
    #[schema(value_type = bool, required = false)]
    pub ics_enabled: Option<bool>,
    /// Whether participants are not asked for their consent to be recorded.
    #[schema(value_type = bool, required = false)]
    pub skip_consent: Option<bool>,
}

#[cfg(test)]
mod tests {
    use utoipa::PartialSchema;

    use super::*;
    use crate::domain::room::MAX_NAME_CHARS;

    #[test]
    fn a_name_is_as_long_in_the_document_as_on_the_server() {
        for schema in [CreateRoomBody::schema(), UpdateRoomBody::schema()] {
            let schema = serde_json::to_value(schema).unwrap();
            assert_eq!(schema["properties"]["name"]["maxLength"], MAX_NAME_CHARS, "{schema}");
        }
    }
}
