//! Version 1 of the API.

use axum::Router;

use super::State;

pub mod jibri;
pub mod jitsi;
pub mod meetings;
pub mod rooms;

/// Every route under `/v1`.
pub fn router() -> Router<State> {
    Router::new()
        .merge(jitsi::router())
        .merge(jibri::router())
        .merge(rooms::router())
        .merge(meetings::router())
}
