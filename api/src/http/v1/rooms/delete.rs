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

/// What the caller gets back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeletionStatus {
    status: &'static str,
}

impl DeletionStatus {
    /// What was to be deleted is gone.
    pub fn ok() -> Self {
        Self { status: "ok" }
    }
}

/// Removes a room of the caller's.
#[utoipa::path(
    delete, path = "/v1/rooms/{room_id}", operation_id = "v1_rooms_delete",
    params(("room_id" = String, Path, description = "The room's id")),
    responses((status = 200, body = DeletionStatus, description = "Successful Response"), (status = 403, description = "The room is somebody else's")),
    security(("bearer" = [])),
)]
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
    Ok(Json(DeletionStatus::ok()))
}
