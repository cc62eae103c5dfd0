//! What is answered while the service starts: that it is not ready. A proxy and an agent know what to do with that at once, and need
//! not wait for an answer that may take as long as the database is away.

use axum::Router;

use super::problem::ApiError;

/// Refuses everything for now.
pub fn router() -> Router {
    Router::new().fallback(async || ApiError::for_now("The service is starting; try again shortly."))
}
