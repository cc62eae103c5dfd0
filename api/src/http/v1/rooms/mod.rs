//! Routes under `/v1/rooms`.

use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::domain::room::{Platform, RecordingTrigger, RecordingType, Room, RoomMode};
use crate::http::State;
use crate::http::date_time::DateTime;

pub mod active_meetings;
pub mod calendar;
pub mod create;
pub mod create_meeting;
pub mod delete;
pub mod get;
pub mod get_by_name;
pub mod ics_status;
pub mod ics_sync;
pub mod list;
pub mod meeting;
pub mod schema;
pub mod update;
pub mod webhook_test;

/// The routes under `/v1/rooms`, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get, update::update, delete::delete))
        .routes(routes!(get_by_name::get_by_name))
        .routes(routes!(create_meeting::create_meeting))
        .routes(routes!(calendar::list))
        .routes(routes!(calendar::upcoming))
        .routes(routes!(active_meetings::list))
        .routes(routes!(ics_status::ics_status))
        .routes(routes!(ics_sync::ics_sync))
        .routes(routes!(meeting::get))
        .routes(routes!(meeting::join))
        .routes(routes!(webhook_test::test_webhook))
}

/// A room.
///
/// Nothing synchronises calendars yet, so that `ics_last_sync` and `ics_last_etag` are always null.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Room)]
#[expect(clippy::struct_excessive_bools, reason = "the schema's own form")]
pub struct RoomBody {
    id: String,
    name: String,
    user_id: String,
    created_at: DateTime,
    zulip_auto_post: bool,
    zulip_stream: String,
    zulip_topic: String,
    is_locked: bool,
    room_mode: RoomMode,
    recording_type: RecordingType,
    recording_trigger: RecordingTrigger,
    is_shared: bool,
    platform: Platform,
    ics_url: Option<String>,
    #[schema(default = 300)]
    ics_fetch_interval: u32,
    #[schema(default = false)]
    ics_enabled: bool,
    ics_last_sync: Option<DateTime>,
    ics_last_etag: Option<String>,
    #[schema(default = false)]
    skip_consent: bool,
}

impl From<Room> for RoomBody {
    fn from(room: Room) -> Self {
        Self {
            id: room.id,
            name: room.name,
            user_id: room.user_id,
            created_at: DateTime(room.created_at),
            zulip_auto_post: room.zulip_auto_post,
            zulip_stream: room.zulip_stream,
            zulip_topic: room.zulip_topic,
            is_locked: room.settings.is_locked,
            room_mode: room.settings.room_mode,
            recording_type: room.settings.recording_type,
            recording_trigger: room.settings.recording_trigger,
            is_shared: room.is_shared,
            platform: room.settings.platform,
            ics_url: room.calendar.url,
            ics_fetch_interval: room.calendar.fetch_interval,
            ics_enabled: room.calendar.enabled,
            ics_last_sync: None,
            ics_last_etag: None,
            skip_consent: room.skip_consent,
        }
    }
}

/// A room with its webhook, which is null for those who do not own the room.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RoomDetails)]
pub struct RoomDetailsBody {
    #[serde(flatten)]
    room: RoomBody,
    #[schema(required)]
    webhook_url: Option<String>,
    #[schema(required)]
    webhook_secret: Option<String>,
}

impl RoomDetailsBody {
    /// `room` as `viewer` may see it: its webhook is for the owner's eyes only.
    pub fn seen_by(viewer: Option<&str>, mut room: Room) -> Self {
        let owns = viewer.is_some_and(|viewer| room.is_owned_by(viewer));
        let webhook_url = room.webhook_url.take().filter(|_| owns);
        let webhook_secret = room.webhook_secret.take().filter(|_| owns);
        Self { room: RoomBody::from(room), webhook_url, webhook_secret }
    }
}
