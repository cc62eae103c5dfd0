//! Version 1 of the API.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::State;

pub mod agents;
pub mod jibri;
pub mod jitsi;
pub mod me;
pub mod meetings;
pub mod recordings;
pub mod rooms;
pub mod user;
pub mod whereby;

/// Every route under `/v1`.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .merge(jitsi::router())
        .merge(jibri::router())
        .merge(whereby::router())
        .merge(recordings::router())
        .merge(agents::router())
        .merge(rooms::router())
        .merge(user::router())
        .merge(meetings::router())
        .routes(routes!(me::get))
}
