//! All routes, and what surrounds each of them.

use std::any::Any;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;

use super::outage::{self, Outage};
use super::problem::ApiError;
use super::{State, cors, fallback, health, request_id, v1};

/// The whole service as one router.
///
/// From the outside in: every answer gets a request id, answers for other origins their headers, refusals during an outage are
/// counted, and a panic becomes an answer.
pub fn router(state: State) -> Router {
    let routes = Router::new()
        .route("/health", get(health::get))
        .merge(v1::router())
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed);
    let routes = match state.config.root_path.as_str() {
        "" => routes,
        prefix => Router::new().nest(prefix, routes.clone()).merge(routes),
    };
    routes
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn_with_state(Outage::new(state.db.clone()), outage::watch))
        .layer(from_fn_with_state(state.config.clone(), cors::share))
        .layer(from_fn(request_id::assign))
        .with_state(state)
}

#[expect(clippy::needless_pass_by_value, reason = "the layer hands the panic over")]
fn after_panic(panic: Box<dyn Any + Send>) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    ApiError::internal(&format_args!("a handler panicked: {message}")).into_response()
}
