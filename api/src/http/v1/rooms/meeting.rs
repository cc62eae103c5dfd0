//! `GET /v1/rooms/{room_name}/meetings/{meeting_id}` and `POST …/join`: one meeting of a room, and the way into it.

use axum::extract;
use axum::extract::FromRequestParts;
use contract::problem::ProblemCode;
use http::request::Parts;
use time::OffsetDateTime;

use crate::db::{lifecycle, meetings, rooms};
use crate::domain::identity::Identity;
use crate::domain::meeting::Meeting;
use crate::domain::room::Room;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::path_text::PathTexts;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::v1::meetings::body::MeetingBody;
use crate::http::v1::meetings::links;

/// A caller before a room's meeting: the room of the path's name, and its meeting of the path's id.
#[derive(Debug)]
pub struct Visit {
    caller: Option<Identity>,
    room: Room,
    meeting: Meeting,
    now: OffsetDateTime,
}

impl FromRequestParts<State> for Visit {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let MaybeUser(caller) = MaybeUser::from_request_parts(parts, state).await?;
        let PathTexts(name, id) = PathTexts::from_request_parts(parts, state).await?;
        let room = rooms::find_by_name(&state.db, &name).await?;
        let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
        let found = meetings::find(&state.db, &id).await?.map(|(meeting, _)| meeting);
        let meeting = found.filter(|meeting| meeting.room_id.as_ref() == Some(&room.id));
        let meeting = meeting.ok_or_else(|| ApiError::titled(ProblemCode::MeetingNotFound))?;
        Ok(Self { caller, room, meeting, now: OffsetDateTime::now_utc() })
    }
}

impl Visit {
    async fn answer(self, state: &State) -> Result<Private<MeetingBody>, ApiError> {
        MeetingBody::of(state, &self.room, self.meeting, self.caller.as_ref(), self.now).await.map(Private)
    }
}

/// Answers with the meeting; without addresses when it is over or its platform has been taken off this server.
#[utoipa::path(
    get, path = "/v1/rooms/{room_name}/meetings/{meeting_id}", operation_id = "v1_rooms_get_meeting",
    params(("room_name" = String, Path, description = "The room's name"), ("meeting_id" = String, Path, description = "The meeting's id")),
    responses((status = 200, body = MeetingBody, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn get(
    extract::State(state): extract::State<State>,
    visit: Visit,
) -> Result<Private<MeetingBody>, ApiError> {
    visit.answer(&state).await
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
    visit: Visit,
) -> Result<Private<MeetingBody>, ApiError> {
    let Visit { meeting, now, .. } = &visit;
    if !meeting.is_active {
        return Err(ApiError::titled(ProblemCode::MeetingNotActive));
    }
    if !meeting.is_open(*now) {
        return Err(ApiError::titled(ProblemCode::MeetingEnded));
    }
    if meeting.addresses.is_none() {
        links::jitsi(&state)?;
    }
    lifecycle::expect_visitor(&state.db, &meeting.id).await?;
    visit.answer(&state).await
}
