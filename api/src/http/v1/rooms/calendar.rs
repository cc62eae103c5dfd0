//! `GET /v1/rooms/{room_name}/meetings` and `…/meetings/upcoming`: what the room's calendar holds. Nothing reads calendars yet, so
//! there is nothing in them; frontends ask all the same.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use http::Uri;

use crate::db::rooms;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::query;

/// The events of a calendar that nothing reads.
type NoEvents = Json<[(); 0]>;

/// How far ahead a caller looks who does not say, in minutes.
const MINUTES_AHEAD: i64 = 120;

async fn events(state: &State, name: &str) -> Result<NoEvents, ApiError> {
    let room = rooms::find_by_name(&state.db, name).await?;
    room.map(|_| Json([])).ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))
}

/// Answers with all events.
pub async fn list(
    extract::State(state): extract::State<State>,
    _caller: MaybeUser,
    PathText(name): PathText,
) -> Result<NoEvents, ApiError> {
    events(&state, &name).await
}

/// Answers with the events that are on, or begin within `minutes_ahead`.
pub async fn upcoming(
    extract::State(state): extract::State<State>,
    _caller: MaybeUser,
    PathText(name): PathText,
    uri: Uri,
) -> Result<NoEvents, ApiError> {
    query::number(&uri, "minutes_ahead", MINUTES_AHEAD, i64::MIN..=i64::MAX).map_err(|invalid| *invalid)?;
    events(&state, &name).await
}
