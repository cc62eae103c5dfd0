//! `PATCH /v1/meetings/{meeting_id}/deactivate`: ends a meeting, so that the next visitor of its room comes to a new one.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use serde::Serialize;
use time::OffsetDateTime;

use crate::db::meetings;
use crate::domain::moment::whole_microseconds;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

/// What the caller gets back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MeetingDeactivated)]
pub struct DeactivatedBody {
    status: &'static str,
    meeting_id: String,
}

/// Ends a meeting in a room of the caller's. One that is over already stays so. Nobody is thrown out.
#[utoipa::path(
    patch, path = "/v1/meetings/{meeting_id}/deactivate", operation_id = "v1_meeting_deactivate",
    params(("meeting_id" = String, Path, description = "The meeting's id")),
    responses((status = 200, body = DeactivatedBody, description = "Successful Response"), (status = 403, description = "The meeting's room is somebody else's")),
    security(("bearer" = [])),
)]
pub async fn deactivate(
    extract::State(state): extract::State<State>,
    MaybeUser(caller): MaybeUser,
    PathText(id): PathText,
) -> Result<Json<DeactivatedBody>, ApiError> {
    // This route alone has these words for it, which frontends show.
    let unknown = || ApiError::new(ProblemCode::NotAuthenticated, "Authentication required");
    let caller = caller.ok_or_else(unknown)?;
    let found = meetings::find(&state.db, &id).await?;
    let (meeting, tenure) = found.ok_or_else(|| ApiError::titled(ProblemCode::MeetingNotFound))?;
    let tenure = tenure.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    if tenure.owner != caller.user_id {
        return Err(ApiError::new(ProblemCode::Forbidden, "Only the room owner can deactivate meetings"));
    }
    if meeting.is_active {
        meetings::end(&state.db, &id, whole_microseconds(OffsetDateTime::now_utc())).await?;
        tracing::info!(meeting.id, "the owner ended a meeting");
    }
    Ok(Json(DeactivatedBody { status: "success", meeting_id: id }))
}
