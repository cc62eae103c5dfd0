//! Routes under `/v1/agents`: what agents say of themselves.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::State;

mod heartbeat;

/// The routes, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(heartbeat::post))
}
