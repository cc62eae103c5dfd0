//! Routes under `/v1/meetings`.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::State;

pub mod body;
pub mod consent;
pub mod deactivate;
pub mod get;
pub mod links;

/// The routes under `/v1/meetings`, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(get::get))
        .routes(routes!(consent::consent))
        .routes(routes!(deactivate::deactivate))
}
