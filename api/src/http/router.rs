//! All routes, and what surrounds each of them.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{self, Request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::outage::{self, Outage};
use super::problem::ApiError;
use super::{State, cors, docs, fallback, health, openapi, receipt, request_id, v1};
use crate::config::Config;
use crate::receipts::Receipts;

/// The whole service as one router.
pub fn router(state: State) -> Router {
    let (routes, collected) = documented().split_for_parts();
    let document = openapi::document(&collected, &state.config.root_path);
    let routes = routes
        .merge(docs::router(&document))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed);
    let routes = match state.config.root_path.as_str() {
        "" => routes,
        prefix => Router::new().nest(prefix, routes.clone()).merge(routes),
    };
    let around = Around {
        config: Arc::clone(&state.config),
        outage: Outage::new(state.db.clone()),
        receipts: state.receipts.clone(),
    };
    routes.layer(from_fn_with_state(Arc::new(around), surround)).with_state(state)
}

/// The routes that the OpenAPI document describes.
pub fn documented() -> OpenApiRouter<State> {
    OpenApiRouter::with_openapi(openapi::frame()).routes(routes!(health::get)).merge(v1::router())
}

/// What surrounds every route.
struct Around {
    config: Arc<Config>,
    outage: Arc<Outage>,
    receipts: Receipts,
}

/// From the outside in: every answer gets a request id, answers for other origins their headers, refusals during an outage are
/// counted, and a panic becomes an answer.
///
/// One layer for all of it: the router copies and boxes what it calls, once for each layer and request.
async fn surround(
    extract::State(around): extract::State<Arc<Around>>,
    request: Request,
    next: Next,
) -> Response {
    let around = &around;
    request_id::assign(request, |request| {
        cors::share(&around.config.cors, request, |request| {
            receipt::watch(&around.receipts, request, |request| {
                let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
                outage::watch(&around.outage, answer.map(|answer| answer.unwrap_or_else(after_panic)))
            })
        })
    })
    .await
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
