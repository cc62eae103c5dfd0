//! Routes under `/v1/recordings/uploads`: how agents get recording files into the object storage.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use contract::problem::ProblemCode;
use contract::upload::UploadId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::State;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::signed::{Dated, Signed};
use crate::uploads::{UploadError, Uploads};

mod abort;
mod begin;
mod complete;
mod parts;

/// The routes, with their full paths.
pub(super) fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(begin::post))
        .routes(routes!(abort::delete))
        .routes(routes!(parts::post))
        .routes(routes!(complete::post))
}

/// The uploads of a server that has a storage.
fn configured(state: &State) -> Result<&Uploads, ApiError> {
    state.uploads.as_ref().ok_or_else(|| {
        let detail =
            "This server has no object storage any more; its operator must set RECORDING_STORAGE_BACKEND.";
        ApiError::new(ProblemCode::StorageNotConfigured, detail)
    })
}

/// A request about the upload that its path names. A signature covers no path, so it must have been made under the upload's id.
#[derive(Debug)]
struct Own {
    id: UploadId,
    signed: Signed,
}

impl FromRequest<State> for Own {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &State) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let PathText(text) = PathText::from_request_parts(&mut parts, state).await?;
        let dated = Dated::from_request(Request::from_parts(parts, body), state).await?;
        let id = UploadId::parse(text).map_err(|_| UploadError::NotFound)?;
        if dated.id != id.as_str() {
            let detail = "webhook-id must be the id of the upload that the request is about";
            return Err(ApiError::new(ProblemCode::SignatureInvalid, detail));
        }
        Ok(Self { id, signed: dated.signed })
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::NotFound => Self::new(
                ProblemCode::UploadNotFound,
                "There is no such upload, or it has ended; begin it again with POST /v1/recordings/uploads.",
            ),
            UploadError::Incomplete(missing) => Self::new(ProblemCode::UploadIncomplete, missing),
            UploadError::Mismatch(detail) => Self::new(ProblemCode::ChecksumMismatch, detail),
            UploadError::Complete(detail) => Self::new(ProblemCode::UploadVerified, detail),
            UploadError::NoSuchPart(_) => Self::new(ProblemCode::ValidationFailed, error.to_string()),
            UploadError::Trouble(detail) => Self::storage_unavailable(detail),
            UploadError::Storage(error) => {
                let (variable, advice) = error.advice();
                tracing::warn!("answering 503: {error}; {variable}: {advice}");
                Self::storage_unavailable(
                    "The object storage does not do what it is asked; the API's log says why.",
                )
            }
            UploadError::Database(error) => error.into(),
        }
    }
}
