//! `POST /v1/recordings/uploads/{upload_id}/parts`: addresses for parts, and which ones are there.

use axum::extract;
use contract::upload::{MAX_NUMBERS, PartsReply, PartsRequest};
use serde_json::json;
use time::OffsetDateTime;

use super::{Own, configured};
use crate::http::State;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::validation::Invalid;

/// Answers with presigned addresses.
#[utoipa::path(
    post, path = "/v1/recordings/uploads/{upload_id}/parts", operation_id = "v1_recordings_list_parts",
    params(("upload_id" = String, Path, description = "The upload's id")),
    request_body = PartsRequest,
    responses((status = 200, body = PartsReply, description = "Successful Response")),
    security(("jitsi" = [])),
)]
pub(super) async fn post(
    extract::State(state): extract::State<State>,
    Own { id, signed }: Own,
) -> Result<Private<PartsReply>, ApiError> {
    let request: PartsRequest = signed.parse()?;
    if request.numbers.len() > MAX_NUMBERS {
        let msg = format!("names at most {MAX_NUMBERS} parts");
        return Err(Invalid::value("numbers", json!(request.numbers.len()), msg).into());
    }
    let reply = configured(&state)?.parts(id.as_str(), &request, OffsetDateTime::now_utc()).await?;
    Ok(Private(reply))
}
