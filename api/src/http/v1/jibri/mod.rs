//! Routes under `/v1/jibri`: what recorders call.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::State;

mod recording_complete;

/// The routes, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new().routes(routes!(recording_complete::post))
}
