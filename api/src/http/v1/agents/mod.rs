//! Routes under `/v1/agents`: what agents say of themselves.

use axum::Router;
use axum::routing::post;

use crate::http::State;

mod heartbeat;

/// The routes, with their full paths.
pub fn router() -> Router<State> {
    Router::new().route("/v1/agents/heartbeat", post(heartbeat::post))
}
