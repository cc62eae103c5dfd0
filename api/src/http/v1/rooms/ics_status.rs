//! `GET /v1/rooms/{room_name}/ics/status`: whether the room's calendar is to be read, and what came of it.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::rooms;
use crate::domain::identity::Identity;
use crate::domain::room::{Calendar, Room};
use crate::http::State;
use crate::http::caller::User;
use crate::http::date_time::DateTime;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

/// The state of a room's calendar.
///
/// Nothing reads calendars yet: there never was a synchronisation, none is planned, and there are no events.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ICSStatus)]
pub struct IcsStatus {
    #[schema(inline)]
    status: Switch,
    last_sync: Option<DateTime>,
    next_sync: Option<DateTime>,
    last_etag: Option<String>,
    #[schema(required = false, default = 0)]
    events_count: u32,
}

/// Whether the owner has turned the calendar on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Switch {
    Enabled,
    Disabled,
}

impl From<&Calendar> for IcsStatus {
    fn from(calendar: &Calendar) -> Self {
        let status = if calendar.enabled { Switch::Enabled } else { Switch::Disabled };
        Self { status, last_sync: None, next_sync: None, last_etag: None, events_count: 0 }
    }
}

/// The caller's own room of this name; `refusal` is what others are told.
pub(super) async fn own_room(
    state: &State,
    caller: &Identity,
    name: &str,
    refusal: &'static str,
) -> Result<Room, ApiError> {
    let room = rooms::find_by_name(&state.db, name).await?;
    let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    if room.is_owned_by(&caller.user_id) {
        Ok(room)
    } else {
        Err(ApiError::new(ProblemCode::Forbidden, refusal))
    }
}

/// Answers the room's owner.
#[utoipa::path(
    get, path = "/v1/rooms/{room_name}/ics/status", operation_id = "v1_rooms_ics_status",
    params(("room_name" = String, Path, description = "The room's name")),
    responses((status = 200, body = IcsStatus, description = "Successful Response"), (status = 403, description = "The room is somebody else's")),
    security(("bearer" = [])),
)]
pub async fn ics_status(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(name): PathText,
) -> Result<Json<IcsStatus>, ApiError> {
    let room = own_room(&state, &caller, &name, "Only room owner can view ICS status").await?;
    Ok(Json(IcsStatus::from(&room.calendar)))
}
