//! `GET /v1/rooms/{room_name}/meetings/active`: the meetings of a room that are on.

use axum::extract;
use contract::problem::ProblemCode;
use time::OffsetDateTime;

use crate::db::{meetings, rooms};
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::path_text::PathText;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::v1::meetings::body::MeetingBody;

/// Answers with the meetings, those that end last first. Only the room's owner gets addresses for moderators.
#[utoipa::path(
    get, path = "/v1/rooms/{room_name}/meetings/active", operation_id = "v1_rooms_list_active_meetings",
    params(("room_name" = String, Path, description = "The room's name")),
    responses((status = 200, body = Vec<MeetingBody>, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn list(
    extract::State(state): extract::State<State>,
    MaybeUser(caller): MaybeUser,
    PathText(name): PathText,
) -> Result<Private<Vec<MeetingBody>>, ApiError> {
    let now = OffsetDateTime::now_utc();
    let room = rooms::find_by_name(&state.db, &name).await?;
    let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    let meetings = meetings::list_open(&state.db, &room.id, now).await?;
    MeetingBody::all(&state, &room, meetings, caller.as_ref(), now).await.map(Private)
}
