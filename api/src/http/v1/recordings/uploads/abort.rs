//! `DELETE /v1/recordings/uploads/{upload_id}`: the upload is not wanted any more.

use axum::{Json, extract};
use contract::problem::ProblemCode;
use contract::upload::AbortReply;

use super::{Own, configured};
use crate::http::State;
use crate::http::problem::ApiError;

/// Ends the upload and removes what was sent of it. The signature is over the empty body: a body
/// would be that of another request to the same upload.
#[utoipa::path(
    delete, path = "/v1/recordings/uploads/{upload_id}", operation_id = "v1_recordings_abort_upload",
    params(("upload_id" = String, Path, description = "The upload's id")),
    responses((status = 200, body = AbortReply, description = "Successful Response"), (status = 409, description = "The upload is verified already")),
    security(("jitsi" = [])),
)]
pub(super) async fn delete(
    extract::State(state): extract::State<State>,
    Own { id, signed }: Own,
) -> Result<Json<AbortReply>, ApiError> {
    if !signed.bytes.is_empty() {
        return Err(ApiError::new(ProblemCode::ValidationFailed, "This request has no body."));
    }
    configured(&state)?.abort(id.as_str()).await?;
    Ok(Json(AbortReply { status: "aborted".to_owned() }))
}
