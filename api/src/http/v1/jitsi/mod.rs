//! Routes under `/v1/jitsi`: what Jitsi hosts call.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::State;

mod batch;
mod events;
mod health;
pub mod schema;

/// The routes, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(events::post)).routes(routes!(health::get))
}
