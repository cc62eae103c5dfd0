//! `DELETE /v1/rooms/{room_id}`: a room with its meetings.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use serde::Serialize;

use crate::db::rooms;
use crate::http::State;
use crate::http::caller::User;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

/// The schema `DeletionStatus`.
#[derive(Debug, Serialize)]
pub struct DeletionStatus {
    status: &'static str,
}

/// Removes a room of the caller's.
pub async fn delete(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(id): PathText,
) -> Result<Json<DeletionStatus>, ApiError> {
    let room = rooms::find(&state.db, &id).await?;
    let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    if !room.is_owned_by(&caller.user_id) {
        return Err(ApiError::titled(ProblemCode::Forbidden));
    }
    rooms::delete(&state.db, &id).await?;
    tracing::info!(room.id, room.name, "deleted a room");
    Ok(Json(DeletionStatus { status: "ok" }))
}
