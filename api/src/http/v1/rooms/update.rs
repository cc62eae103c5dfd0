//! `PATCH /v1/rooms/{room_id}`: other settings for a room. What the body does not mention stays; meetings that are on keep theirs,
//! also their platform.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use serde_json::{Map, Value};

use super::RoomDetailsBody;
use super::create::{calendar, fresh_webhook_secret, refusal};
use super::schema::UpdateRoomBody;
use crate::db::rooms;
use crate::domain::room::{MeetingSettings, Room, check_name};
use crate::http::State;
use crate::http::caller::User;
use crate::http::json_body::JsonObject;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::validation::{Fields, Invalid};
use crate::webhooks::client::WebhookClient;

/// `room` as `body` wants it. A new webhook must be one that `webhooks` would send to.
fn change(body: &Map<String, Value>, room: Room, webhooks: &WebhookClient) -> Result<Room, Vec<Invalid>> {
    let mut fields = Fields::of(body);
    let (current, named, hooked) = (room.settings, room.name.clone(), room.webhook_url.clone());
    let webhook_url = fields.optional_text_or("webhook_url", room.webhook_url);
    // A frontend that sends all members back sends an empty secret where it was shown none.
    let webhook_secret = fields.optional_text("webhook_secret").or(room.webhook_secret);
    let changed = Room {
        name: fields.text_or("name", room.name),
        settings: MeetingSettings {
            platform: fields.setting_or("platform", current.platform),
            is_locked: fields.flag_or("is_locked", current.is_locked),
            room_mode: fields.setting_or("room_mode", current.room_mode),
            recording_type: fields.setting_or("recording_type", current.recording_type),
            recording_trigger: fields.setting_or("recording_trigger", current.recording_trigger),
        },
        is_shared: fields.flag_or("is_shared", room.is_shared),
        zulip_auto_post: fields.flag_or("zulip_auto_post", room.zulip_auto_post),
        zulip_stream: fields.text_or("zulip_stream", room.zulip_stream),
        zulip_topic: fields.text_or("zulip_topic", room.zulip_topic),
        webhook_secret: webhook_secret.or_else(|| webhook_url.is_some().then(fresh_webhook_secret)),
        webhook_url,
        skip_consent: fields.flag_or("skip_consent", room.skip_consent),
        calendar: calendar(&mut fields, room.calendar),
        id: room.id,
        user_id: room.user_id,
        created_at: room.created_at,
    };
    // A name that was good enough once is looked at again only for another platform, whose names may be shorter.
    if (changed.name != named || changed.settings.platform != current.platform)
        && let Err(error) = check_name(&changed.name, changed.settings.platform)
    {
        fields.refuse("name", error.to_string());
    }
    if changed.webhook_url != hooked
        && let Some(Err(error)) = changed.webhook_url.as_deref().map(|url| webhooks.check(url))
    {
        fields.refuse("webhook_url", error.to_string());
    }
    fields.finish().map(|()| changed)
}

/// Why a room stays as it is.
enum Refusal {
    /// It is somebody else's.
    NotOwner,
    /// The body is wrong.
    Invalid(Vec<Invalid>),
}

/// Answers with the room as it is now. Only its owner changes it.
#[utoipa::path(
    patch, path = "/v1/rooms/{room_id}", operation_id = "v1_rooms_update",
    params(("room_id" = String, Path, description = "The room's id")),
    request_body = UpdateRoomBody,
    responses((status = 200, body = RoomDetailsBody, description = "Successful Response"), (status = 400, description = "Another room has the name"), (status = 403, description = "The room is somebody else's")),
    security(("bearer" = [])),
)]
pub async fn update(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(id): PathText,
    body: JsonObject,
) -> Result<Json<RoomDetailsBody>, ApiError> {
    let body = body.required()?;
    let updated = rooms::update(&state.db, &id, |room| {
        if !room.is_owned_by(&caller.user_id) {
            return Err(Refusal::NotOwner);
        }
        change(&body, room, state.webhooks.client()).map_err(Refusal::Invalid)
    });
    match updated.await.map_err(refusal)? {
        Some(Ok(room)) => Ok(Json(RoomDetailsBody::seen_by(Some(&caller.user_id), room))),
        Some(Err(Refusal::NotOwner)) => Err(ApiError::titled(ProblemCode::Forbidden)),
        Some(Err(Refusal::Invalid(findings))) => Err(findings.into()),
        None => Err(ApiError::titled(ProblemCode::RoomNotFound)),
    }
}
