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
#[utoipa::path(
    get, path = "/v1/rooms/{room_id}", operation_id = "v1_rooms_get",
    params(("room_id" = String, Path, description = "The room's id")),
    responses((status = 200, body = RoomDetailsBody, description = "Successful Response"), (status = 403, description = "The room is not shared, and not the caller's")),
    security((), ("bearer" = [])),
)]
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
