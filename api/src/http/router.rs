//! All routes, and what surrounds each of them.

use axum::Router;
use axum::middleware::from_fn;
use contract::problem::ProblemCode;

use super::problem::ApiError;
use super::{State, request_id, v1};

/// The whole service as one router.
pub fn router(state: State) -> Router {
    Router::new()
        .merge(v1::router())
        .fallback(async || ApiError::titled(ProblemCode::NotFound))
        .method_not_allowed_fallback(async || ApiError::titled(ProblemCode::MethodNotAllowed))
        .layer(from_fn(request_id::assign))
        .with_state(state)
}
