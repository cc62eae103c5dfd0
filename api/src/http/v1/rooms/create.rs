//! `POST /v1/rooms`: a new room, owned by the caller.

use axum::Json;
use axum::extract;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use contract::problem::ProblemCode;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use super::RoomBody;
use super::schema::CreateRoomBody;
use crate::db::rooms::{self, SaveError};
use crate::domain::moment::whole_microseconds;
use crate::domain::room::{
    Calendar, MeetingSettings, Platform, RecordingTrigger, RecordingType, Room, RoomMode, check_name,
};
use crate::http::State;
use crate::http::caller::User;
use crate::http::json_body::JsonObject;
use crate::http::problem::ApiError;
use crate::http::validation::{Fields, Invalid};
use crate::webhooks::client::WebhookClient;

/// What a caller says about a new room.
///
/// What decides over recording and access must be said (`name`, `is_locked`, `room_mode`, `recording_type`,
/// `recording_trigger`); the rest has defaults.
#[derive(Debug, PartialEq, Eq)]
struct CreateRoom {
    name: String,
    settings: MeetingSettings,
    is_shared: bool,
    zulip_auto_post: bool,
    zulip_stream: String,
    zulip_topic: String,
    webhook_url: Option<String>,
    webhook_secret: Option<String>,
    skip_consent: bool,
    calendar: Calendar,
}

impl CreateRoom {
    /// Reads the body; a room without `platform` gets `default_platform`. Its webhook must be one that `webhooks` would send to.
    fn read(
        body: &Map<String, Value>,
        default_platform: Platform,
        webhooks: &WebhookClient,
    ) -> Result<Self, Vec<Invalid>> {
        let mut fields = Fields::of(body);
        let request = Self {
            name: fields.text("name"),
            settings: MeetingSettings {
                platform: fields.setting_or("platform", default_platform),
                is_locked: fields.flag("is_locked"),
                room_mode: fields.setting("room_mode", RoomMode::Normal),
                recording_type: fields.setting("recording_type", RecordingType::None),
                recording_trigger: fields.setting("recording_trigger", RecordingTrigger::None),
            },
            is_shared: fields.flag_or("is_shared", false),
            zulip_auto_post: fields.flag_or("zulip_auto_post", false),
            zulip_stream: fields.text_or_empty("zulip_stream"),
            zulip_topic: fields.text_or_empty("zulip_topic"),
            webhook_url: fields.optional_text("webhook_url"),
            webhook_secret: fields.optional_text("webhook_secret"),
            skip_consent: fields.flag_or("skip_consent", false),
            calendar: calendar(&mut fields, Calendar::default()),
        };
        if let Err(error) = check_name(&request.name, request.settings.platform) {
            fields.refuse("name", error.to_string());
        }
        if let Some(Err(error)) = request.webhook_url.as_deref().map(|url| webhooks.check(url)) {
            fields.refuse("webhook_url", error.to_string());
        }
        fields.finish().map(|()| request)
    }

    /// The room of `owner`. A webhook that comes without a secret gets one.
    fn into_room(self, owner: String, now: OffsetDateTime) -> Room {
        let webhook_secret =
            self.webhook_secret.or_else(|| self.webhook_url.is_some().then(fresh_webhook_secret));
        Room {
            id: Uuid::new_v4().to_string(),
            name: self.name,
            user_id: owner,
            created_at: whole_microseconds(now),
            settings: self.settings,
            is_shared: self.is_shared,
            zulip_auto_post: self.zulip_auto_post,
            zulip_stream: self.zulip_stream,
            zulip_topic: self.zulip_topic,
            webhook_url: self.webhook_url,
            webhook_secret,
            skip_consent: self.skip_consent,
            calendar: self.calendar,
        }
    }
}

/// The calendar that a body speaks of; what it does not mention is as in `current`.
pub(super) fn calendar(fields: &mut Fields<'_>, current: Calendar) -> Calendar {
    Calendar {
        url: fields.optional_text_or("ics_url", current.url),
        fetch_interval: fields.count_or("ics_fetch_interval", current.fetch_interval),
        enabled: fields.flag_or("ics_enabled", current.enabled),
    }
}

/// 32 random bytes as 43 characters.
pub(super) fn fresh_webhook_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has random numbers: room ids were made of some");
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The platform of a room that does not name one: Jitsi where it is configured, else Whereby.
fn default_platform(state: &State) -> Platform {
    if state.jitsi.is_some() { Platform::Jitsi } else { Platform::Whereby }
}

/// Answers with the room.
#[utoipa::path(
    post, path = "/v1/rooms", operation_id = "v1_rooms_create",
    request_body = CreateRoomBody,
    responses((status = 200, body = RoomBody, description = "Successful Response"), (status = 400, description = "Another room has the name")),
    security(("bearer" = [])),
)]
pub async fn create(
    extract::State(state): extract::State<State>,
    User(caller): User,
    body: JsonObject,
) -> Result<Json<RoomBody>, ApiError> {
    let request = CreateRoom::read(&body.required()?, default_platform(&state), state.webhooks.client())?;
    let room = request.into_room(caller.user_id, OffsetDateTime::now_utc());
    match rooms::create(&state.db, &room).await {
        Ok(()) => {
            tracing::info!(room.id, room.name, "created a room");
            Ok(Json(RoomBody::from(room)))
        }
        Err(error) => Err(refusal(error)),
    }
}

/// What a caller is told when a room could not be stored.
pub(super) fn refusal(error: SaveError) -> ApiError {
    match error {
        SaveError::NameTaken => ApiError::titled(ProblemCode::RoomNameTaken),
        SaveError::Database(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::webhooks::address::Guard;

    fn read(body: &Value) -> Result<CreateRoom, Vec<Invalid>> {
        let webhooks = WebhookClient::guarded(Guard::default()).unwrap();
        CreateRoom::read(body.as_object().unwrap(), Platform::Whereby, &webhooks)
    }

    /// The guide's body.
    fn guide() -> Value {
        json!({
            "name": "my-jitsi-room", "platform": "jitsi", "recording_type": "cloud",
            "recording_trigger": "automatic-2nd-participant", "is_locked": false, "room_mode": "normal",
        })
    }

    fn guide_with(member: &str, value: Value) -> Value {
        let mut body = guide();
        body[member] = value;
        body
    }

    #[test]
    fn the_guide_s_body_is_enough() {
        assert_eq!(
            read(&guide()).unwrap(),
            CreateRoom {
                name: "my-jitsi-room".into(),
                settings: MeetingSettings {
                    platform: Platform::Jitsi,
                    is_locked: false,
                    room_mode: RoomMode::Normal,
                    recording_type: RecordingType::Cloud,
                    recording_trigger: RecordingTrigger::AutomaticSecondParticipant,
                },
                is_shared: false,
                zulip_auto_post: false,
                zulip_stream: String::new(),
                zulip_topic: String::new(),
                webhook_url: None,
                webhook_secret: None,
                skip_consent: false,
                calendar: Calendar::default(),
            }
        );
    }

    #[test]
    fn a_room_without_a_platform_gets_the_server_s() {
        let mut body = guide();
        body.as_object_mut().unwrap().remove("platform");
        assert_eq!(read(&body).unwrap().settings.platform, Platform::Whereby);
    }

    #[test]
    fn each_member_that_is_wrong_is_named() {
        for (member, value, kind) in [
            ("name", json!("My Room"), "value_error"),
            ("name", json!("browse"), "value_error"),
            ("name", json!(7), "string_type"),
            ("platform", json!("zoom"), "literal_error"),
            ("platform", json!(null), "literal_error"),
            ("room_mode", json!("huge"), "literal_error"),
            ("recording_type", json!("disk"), "literal_error"),
            ("recording_trigger", json!(""), "literal_error"),
            ("is_locked", json!("maybe"), "bool_parsing"),
            ("is_shared", json!(null), "bool_type"),
            ("webhook_url", json!("ftp://example.com"), "value_error"),
            ("webhook_url", json!("https://"), "value_error"),
            ("webhook_url", json!("http://127.0.0.1:1250/"), "value_error"),
            ("zulip_topic", json!(null), "string_type"),
        ] {
            let findings = read(&guide_with(member, value.clone())).unwrap_err();
            let found: Vec<_> = findings.iter().map(|finding| (finding.kind, finding.loc.clone())).collect();
            assert_eq!(found, [(kind, vec![json!("body"), json!(member)])], "{member} {value}");
        }
        assert_eq!(read(&json!({})).unwrap_err().len(), 5);
    }

    #[test]
    fn a_webhook_gets_a_secret_of_its_own_unless_it_brings_one() {
        let secret = |body: Value| {
            let room = read(&body).unwrap().into_room("u-1".into(), datetime!(2026-01-01 00:00 UTC));
            room.webhook_secret
        };
        assert_eq!(secret(guide()), None);
        let with_url = guide_with("webhook_url", json!("https://example.com/hook"));
        let (one, two) = (secret(with_url.clone()).unwrap(), secret(with_url.clone()).unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, two);
        let mut with_both = with_url;
        with_both["webhook_secret"] = json!("chosen");
        assert_eq!(secret(with_both).as_deref(), Some("chosen"));
    }
}
