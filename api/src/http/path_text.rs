//! Segments of a path, as texts that can be looked up.

use axum::extract::{FromRequestParts, Path};
use contract::problem::ProblemCode;
use http::request::Parts;

use super::State;
use super::problem::ApiError;

/// The path's only parameter. Bytes that are no text, and U+0000 which no name or id holds, are 404.
#[derive(Debug)]
pub struct PathText(pub String);

/// The same for a path with two parameters.
#[derive(Debug)]
pub struct PathTexts(pub String, pub String);

impl FromRequestParts<State> for PathTexts {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        match Path::<(String, String)>::from_request_parts(parts, state).await {
            Ok(Path((one, two))) if !one.contains('\0') && !two.contains('\0') => Ok(Self(one, two)),
            _ => Err(ApiError::titled(ProblemCode::NotFound)),
        }
    }
}

impl FromRequestParts<State> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(text)) if !text.contains('\0') => Ok(Self(text)),
            _ => Err(ApiError::titled(ProblemCode::NotFound)),
        }
    }
}
