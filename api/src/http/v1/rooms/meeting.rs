//! `GET /v1/rooms/{room_name}/meetings/{meeting_id}` and `POST …/join`: one meeting of a room, and the way into it.

use axum::extract;
use contract::problem::ProblemCode;
use time::OffsetDateTime;

use crate::db::{meetings, rooms};
use crate::domain::meeting::Meeting;
use crate::domain::room::Room;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::path_text::PathTexts;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::v1::meetings::body::MeetingBody;

/// The room of this name and its meeting of this id.
async fn find(state: &State, name: &str, id: &str) -> Result<(Room, Meeting), ApiError> {
    let room = rooms::find_by_name(&state.db, name).await?;
    let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    let found = meetings::find(&state.db, id).await?;
    let meeting =
        found.map(|(meeting, _)| meeting).filter(|meeting| meeting.room_id.as_ref() == Some(&room.id));
    let meeting = meeting.ok_or_else(|| ApiError::titled(ProblemCode::MeetingNotFound))?;
    Ok((room, meeting))
}

/// Answers with the meeting; without addresses when it is over.
#[utoipa::path(
    get, path = "/v1/rooms/{room_name}/meetings/{meeting_id}", operation_id = "v1_rooms_get_meeting",
    params(("room_name" = String, Path, description = "The room's name"), ("meeting_id" = String, Path, description = "The meeting's id")),
    responses((status = 200, body = MeetingBody, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn get(
    extract::State(state): extract::State<State>,
    MaybeUser(caller): MaybeUser,
    PathTexts(name, id): PathTexts,
) -> Result<Private<MeetingBody>, ApiError> {
    let now = OffsetDateTime::now_utc();
    let (room, meeting) = find(&state, &name, &id).await?;
    MeetingBody::of(&state, &room, meeting, caller.as_ref(), now).await.map(Private)
}

/// Answers with the addresses of a meeting that is on.
#[utoipa::path(
    post, path = "/v1/rooms/{room_name}/meetings/{meeting_id}/join", operation_id = "v1_rooms_join_meeting",
    params(("room_name" = String, Path, description = "The room's name"), ("meeting_id" = String, Path, description = "The meeting's id")),
    responses((status = 200, body = MeetingBody, description = "Successful Response"), (status = 400, description = "The meeting is over")),
    security((), ("bearer" = [])),
)]
pub async fn join(
    extract::State(state): extract::State<State>,
    MaybeUser(caller): MaybeUser,
    PathTexts(name, id): PathTexts,
) -> Result<Private<MeetingBody>, ApiError> {
    let now = OffsetDateTime::now_utc();
    let (room, meeting) = find(&state, &name, &id).await?;
    if !meeting.is_active {
        return Err(ApiError::titled(ProblemCode::MeetingNotActive));
    }
    if !meeting.is_open(now) {
        return Err(ApiError::titled(ProblemCode::MeetingEnded));
    }
    MeetingBody::of(&state, &room, meeting, caller.as_ref(), now).await.map(Private)
}
