//! Routes under `/v1/meetings`.

use axum::Router;
use axum::routing::{get, patch, post};

use crate::http::State;

pub mod body;
pub mod consent;
pub mod deactivate;
pub mod get;
pub mod links;

/// The routes under `/v1/meetings`, with their full paths.
pub fn router() -> Router<State> {
    Router::new()
        .route("/v1/meetings/{meeting}", get(get::get))
        .route("/v1/meetings/{meeting}/consent", post(consent::consent))
        .route("/v1/meetings/{meeting}/deactivate", patch(deactivate::deactivate))
}
