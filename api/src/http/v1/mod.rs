//! Version 1 of the API.

use axum::Router;
use axum::routing::get;

use super::State;

pub mod agents;
pub mod jibri;
pub mod jitsi;
pub mod me;
pub mod meetings;
pub mod recordings;
pub mod rooms;

/// Every route under `/v1`.
pub fn router() -> Router<State> {
    Router::new()
        .merge(jitsi::router())
        .merge(jibri::router())
        .merge(recordings::router())
        .merge(agents::router())
        .merge(rooms::router())
        .merge(meetings::router())
        .route("/v1/me", get(me::get))
}
