//! Routes under `/v1/recordings/uploads`: how agents get recording files into the object storage.

use axum::Router;
use axum::routing::{delete, post};
use contract::problem::ProblemCode;
use contract::upload::UploadId;

use crate::http::State;
use crate::http::problem::ApiError;
use crate::uploads::{UploadError, Uploads};

mod abort;
mod begin;
mod complete;
mod parts;

/// The routes, with their full paths.
pub(super) fn router() -> Router<State> {
    Router::new()
        .route("/v1/recordings/uploads", post(begin::post))
        .route("/v1/recordings/uploads/{upload}", delete(abort::delete))
        .route("/v1/recordings/uploads/{upload}/parts", post(parts::post))
        .route("/v1/recordings/uploads/{upload}/complete", post(complete::post))
}

/// The uploads of a server that has a storage.
fn configured(state: &State) -> Result<&Uploads, ApiError> {
    state.uploads.as_ref().ok_or_else(|| {
        let detail =
            "This server has no object storage any more; its operator must set RECORDING_STORAGE_BACKEND.";
        ApiError::new(ProblemCode::StorageNotConfigured, detail)
    })
}

fn upload_id(text: String) -> Result<UploadId, ApiError> {
    UploadId::parse(text).map_err(|_| UploadError::NotFound.into())
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
