//! `GET /v1/rooms/{room_name}/meetings` and `…/meetings/upcoming`: what the room's calendar holds. Nothing reads calendars yet, so
//! there is nothing in them; frontends ask all the same.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use http::Uri;
use serde_json::Value;

use crate::db::rooms;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::date_time::DateTime;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::query;

/// An event of a room's calendar.
#[derive(Debug, utoipa::ToSchema)]
pub struct CalendarEventResponse {
    /// The event's id.
    pub id: String,
    /// The room that the calendar belongs to.
    pub room_id: String,
    /// The event's identity in the calendar.
    pub ics_uid: String,
    /// What it is called.
    pub title: Option<String>,
    /// What it is about; null for those who do not own the room.
    pub description: Option<String>,
    /// When it begins.
    pub start_time: DateTime,
    /// When it ends.
    pub end_time: DateTime,
    /// Who is invited; null for those who do not own the room.
    #[schema(value_type = Option<Vec<Object>>)]
    pub attendees: Option<Vec<Value>>,
    /// Where it is held.
    pub location: Option<String>,
    /// When the calendar was read last.
    pub last_synced: DateTime,
    /// When the event was first seen.
    pub created_at: DateTime,
    /// When it last changed.
    pub updated_at: DateTime,
}

/// The events of a calendar that nothing reads.
type NoEvents = Json<[(); 0]>;

/// How far ahead a caller looks who does not say, in minutes.
const MINUTES_AHEAD: i64 = 120;

async fn events(state: &State, name: &str) -> Result<NoEvents, ApiError> {
    let room = rooms::find_by_name(&state.db, name).await?;
    room.map(|_| Json([])).ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))
}

/// Answers with all events.
#[utoipa::path(
    get, path = "/v1/rooms/{room_name}/meetings", operation_id = "v1_rooms_list_meetings",
    params(("room_name" = String, Path, description = "The room's name")),
    responses((status = 200, body = Vec<CalendarEventResponse>, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn list(
    extract::State(state): extract::State<State>,
    _caller: MaybeUser,
    PathText(name): PathText,
) -> Result<NoEvents, ApiError> {
    events(&state, &name).await
}

/// Answers with the events that are on, or begin within `minutes_ahead`.
#[utoipa::path(
    get, path = "/v1/rooms/{room_name}/meetings/upcoming", operation_id = "v1_rooms_list_upcoming_meetings",
    params(("room_name" = String, Path, description = "The room's name"),
        ("minutes_ahead" = Option<i64>, Query, description = "How far ahead to look, in minutes; 120 where nothing is said")),
    responses((status = 200, body = Vec<CalendarEventResponse>, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn upcoming(
    extract::State(state): extract::State<State>,
    _caller: MaybeUser,
    PathText(name): PathText,
    uri: Uri,
) -> Result<NoEvents, ApiError> {
    query::number(&uri, "minutes_ahead", MINUTES_AHEAD, i64::MIN..=i64::MAX).map_err(|invalid| *invalid)?;
    events(&state, &name).await
}
