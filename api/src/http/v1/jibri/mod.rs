//! Routes under `/v1/jibri`: what recorders call.

use axum::Router;
use axum::routing::post;

use crate::http::State;

mod recording_complete;

/// The routes, with their full paths.
pub fn router() -> Router<State> {
    Router::new().route("/v1/jibri/recording-complete", post(recording_complete::post))
}
