//! Routes under `/v1/whereby`.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::State;

mod health;
mod webhook;

/// The routes under `/v1/whereby`.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(webhook::post)).routes(routes!(health::get))
}
