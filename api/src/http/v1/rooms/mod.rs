//! Routes under `/v1/rooms`.

use axum::Router;

use crate::http::State;

/// The routes under `/v1/rooms`, with their full paths.
pub fn router() -> Router<State> {
    Router::new()
}
