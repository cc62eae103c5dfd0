//! `/ops`: what operators see. Pages that are made here, with everything they need from this service, and readable without a script.
//!
//! - `guard`: who may see them, and from where; `shell`: what all of them have around them.
//! - `findings`: what is wrong, in words with the next step, `refusals`: with deliveries; `timeline`: a meeting as a picture.
//! - One file for each page, with its template of the same name in `templates/ops`.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::State;
use crate::config::Ops;

mod agents;
mod assets;
mod badge;
mod deliveries;
mod findings;
mod guard;
mod meeting;
mod meetings;
mod overview;
mod paging;
mod recording;
mod recordings;
mod refusals;
mod shell;
mod text;
mod timeline;
mod webhook;
mod webhooks;

/// The pages, with their full paths.
pub(super) fn router(settings: &Ops) -> Router<State> {
    Router::new()
        .route("/ops", get(to_overview))
        .route("/ops/overview", get(overview::get))
        .route("/ops/agents", get(agents::get))
        .route("/ops/deliveries", get(deliveries::get))
        .route("/ops/meetings", get(meetings::get))
        .route("/ops/meetings/{id}", get(meeting::get))
        .route("/ops/recordings", get(recordings::get))
        .route("/ops/recordings/{id}", get(recording::get))
        .route("/ops/webhooks", get(webhooks::get))
        .route("/ops/webhooks/{id}", get(webhook::get))
        .route("/ops/webhooks/{id}/retry", post(webhook::retry))
        .route("/ops/assets/ops.css", get(assets::style))
        .route("/ops/assets/ops.js", get(assets::script))
        .route("/ops/assets/icon.svg", get(assets::icon))
        .route("/ops/{*rest}", any(nothing))
        .layer(from_fn_with_state(Arc::new(guard::Guard::new(settings)), guard::enter))
}

/// Relative, so that it holds under any path of a proxy.
async fn to_overview() -> Response {
    (StatusCode::SEE_OTHER, [(LOCATION, HeaderValue::from_static("ops/overview"))]).into_response()
}

async fn nothing() -> Response {
    shell::Notice::nothing().into_response()
}
