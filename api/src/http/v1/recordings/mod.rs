//! Routes under `/v1/recordings`.

use axum::Router;

use crate::http::State;

mod uploads;

/// The routes, with their full paths.
pub fn router() -> Router<State> {
    uploads::router()
}
