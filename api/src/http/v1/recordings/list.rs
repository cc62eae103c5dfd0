//! `GET /v1/meetings/{meeting_id}/recordings`: what was recorded of a meeting.

use axum::extract;
use contract::problem::ProblemCode;
use time::OffsetDateTime;

use super::body::{Downloads, FileBody};
use crate::db::{meetings, recordings};
use crate::http::State;
use crate::http::caller::User;
use crate::http::path_text::PathText;
use crate::http::private::Private;
use crate::http::problem::ApiError;

/// Answers with the recordings of a meeting in a room that is the caller's own or shared, oldest first.
#[utoipa::path(
    get, path = "/v1/meetings/{meeting_id}/recordings", operation_id = "v1_meetings_list_recordings",
    params(("meeting_id" = String, Path, description = "The meeting's id")),
    responses((status = 200, body = Vec<FileBody>, description = "Successful Response"),
        (status = 403, description = "The meeting's room is not shared, and not the caller's")),
    security(("bearer" = [])),
)]
pub(super) async fn list(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(id): PathText,
) -> Result<Private<Vec<FileBody>>, ApiError> {
    let (_, tenure) = meetings::find(&state.db, &id)
        .await?
        .ok_or_else(|| ApiError::titled(ProblemCode::MeetingNotFound))?;
    if !tenure.is_some_and(|tenure| tenure.admits(&caller.user_id)) {
        return Err(ApiError::new(ProblemCode::Forbidden, "Meeting access denied"));
    }
    let files = recordings::list(&state.db, &id).await?;
    let downloads = Downloads::of(&state, OffsetDateTime::now_utc());
    Ok(Private(files.into_iter().map(|file| FileBody::new(file, downloads)).collect()))
}
