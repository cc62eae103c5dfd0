//! `POST /v1/recordings/uploads/{upload_id}/complete`: all parts are sent.

use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use contract::upload::{Checksum, CompleteReply, CompleteRequest};
use http::header::RETRY_AFTER;
use http::{HeaderValue, StatusCode};

use super::{Own, configured};
use crate::db::uploads::Upload;
use crate::http::State;
use crate::http::problem::ApiError;
use crate::uploads::complete::Completion;

/// After how many seconds it is worth asking again. A small object is read back in less.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// The same where large objects are being read back first.
const WAITING_SECONDS: HeaderValue = HeaderValue::from_static("10");

/// 200 once the storage is known to hold the file, 202 while that is being found out.
#[utoipa::path(
    post, path = "/v1/recordings/uploads/{upload_id}/complete", operation_id = "v1_recordings_complete_upload",
    params(("upload_id" = String, Path, description = "The upload's id")),
    request_body = CompleteRequest,
    responses(
        (status = 200, body = CompleteReply, description = "Successful Response"),
        (status = 202, body = CompleteReply, description = "The object is being read back; ask again after `Retry-After`"),
        (status = 409, description = "Parts are missing, or the object differs from the file"),
    ),
    security(("jitsi" = [])),
)]
pub(super) async fn post(
    extract::State(state): extract::State<State>,
    Own { id, signed }: Own,
) -> Result<Response, ApiError> {
    let request: CompleteRequest = signed.parse()?;
    match configured(&state)?.complete(id.as_str(), &request).await? {
        Completion::Waiting => Ok(accepted(WAITING_SECONDS)),
        Completion::Verifying => Ok(accepted(RETRY_SECONDS)),
        Completion::Verified(upload) => Ok(Json(verified(upload)?).into_response()),
    }
}

fn accepted(retry_after: HeaderValue) -> Response {
    (StatusCode::ACCEPTED, [(RETRY_AFTER, retry_after)], Json(CompleteReply::Verifying)).into_response()
}

fn verified(upload: Upload) -> Result<CompleteReply, ApiError> {
    let sha256 = Checksum::parse(upload.sha256).map_err(|error| ApiError::internal(&error))?;
    Ok(CompleteReply::Verified {
        bucket: upload.bucket,
        object_key: upload.object_key,
        size_bytes: upload.size_bytes,
        sha256,
    })
}
