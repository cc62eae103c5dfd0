//! Routes under `/v1/recordings`, and the recordings of a meeting.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::State;

pub mod body;
mod download;
mod list;
mod uploads;

/// The routes, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    uploads::router().routes(routes!(list::list)).routes(routes!(download::download))
}
