//! Routes under `/v1/meetings`.

use axum::Router;

use crate::http::State;

/// The routes under `/v1/meetings`, with their full paths.
pub fn router() -> Router<State> {
    Router::new()
}
