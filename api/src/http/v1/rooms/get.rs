//! `GET /v1/rooms/{room_id}`: one room, by id.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;

use super::RoomDetailsBody;
use crate::db::rooms;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

/// Answers with a room that is the caller's own or shared.
pub async fn get(
    extract::State(state): extract::State<State>,
    caller: MaybeUser,
    PathText(id): PathText,
) -> Result<Json<RoomDetailsBody>, ApiError> {
    let room = rooms::find(&state.db, &id).await?;
    let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    let may_see = room.is_shared || caller.id().is_some_and(|user| room.is_owned_by(user));
    if !may_see {
        return Err(ApiError::new(ProblemCode::Forbidden, "Room access denied"));
    }
    Ok(Json(RoomDetailsBody::seen_by(caller.id(), room)))
}
