//! Routes under `/v1/meetings`.

use axum::Router;
use axum::routing::get;

use crate::http::State;

pub mod body;
pub mod get;
pub mod links;

/// The routes under `/v1/meetings`, with their full paths.
pub fn router() -> Router<State> {
    Router::new().route("/v1/meetings/{meeting}", get(get::get))
}
