//! Routes under `/v1/recordings`.

use utoipa_axum::router::OpenApiRouter;

use crate::http::State;

mod uploads;

/// The routes, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    uploads::router()
}
