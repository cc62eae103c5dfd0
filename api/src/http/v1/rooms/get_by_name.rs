//! `GET /v1/rooms/name/{room_name}`: one room, by name.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;

use super::RoomDetailsBody;
use crate::db::rooms;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

/// Answers with any room: who was given a room's name may look at its door. Its webhook is for the owner's eyes only.
#[utoipa::path(
    get, path = "/v1/rooms/name/{room_name}", operation_id = "v1_rooms_get_by_name",
    params(("room_name" = String, Path, description = "The room's name")),
    responses((status = 200, body = RoomDetailsBody, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn get_by_name(
    extract::State(state): extract::State<State>,
    caller: MaybeUser,
    PathText(name): PathText,
) -> Result<Json<RoomDetailsBody>, ApiError> {
    let room = rooms::find_by_name(&state.db, &name).await?;
    let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    Ok(Json(RoomDetailsBody::seen_by(caller.id(), room)))
}
