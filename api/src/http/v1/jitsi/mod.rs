//! Routes under `/v1/jitsi`: what Jitsi hosts call.

use axum::Router;
use axum::routing::{get, post};

use crate::http::State;

mod batch;
mod events;
mod health;

/// The routes, with their full paths.
pub fn router() -> Router<State> {
    Router::new().route("/v1/jitsi/events", post(events::post)).route("/v1/jitsi/health", get(health::get))
}
