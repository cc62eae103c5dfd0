//! `DELETE /v1/recordings/uploads/{upload_id}`: the upload is not wanted any more.

use axum::{Json, extract};
use contract::upload::AbortReply;

use super::{configured, upload_id};
use crate::http::State;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::signed::Signed;

/// Ends the upload and removes what was sent of it. The signature is over the empty body.
pub(super) async fn delete(
    extract::State(state): extract::State<State>,
    PathText(id): PathText,
    _signed: Signed,
) -> Result<Json<AbortReply>, ApiError> {
    let id = upload_id(id)?;
    configured(&state)?.abort(id.as_str()).await?;
    Ok(Json(AbortReply { status: "aborted".to_owned() }))
}
