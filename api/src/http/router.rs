//! All routes, and what surrounds each of them.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::extract::{self, ConnectInfo, MatchedPath, Request};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::FutureExt as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::client_address::ClientAddress;
use super::limits::{self, Limits};
use super::observe::observe;
use super::outage::{self, Outage};
use super::problem::ApiError;
use super::timeouts::{Patience, answer_within};
use super::{State, cors, docs, fallback, health, metrics, openapi, ops, receipt, request_id, v1};
use crate::config::Config;
use crate::receipts::Receipts;
use crate::traces::Traces;

/// The whole service as one router.
pub fn router(state: State) -> Router {
    let (routes, collected) = documented().split_for_parts();
    let document = openapi::document(&collected, &state.config.root_path);
    let routes = routes
        .merge(docs::router(&document))
        .route("/metrics", get(metrics::get))
        .merge(ops::router(&state.config.ops))
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed);
    let routes = match state.config.root_path.as_str() {
        "" => routes,
        prefix => Router::new().nest(prefix, routes.clone()).merge(routes),
    };
    let around = Around {
        config: Arc::clone(&state.config),
        limits: Limits::new(&state.config.limits),
        traces: state.traces.clone(),
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
    limits: Limits,
    traces: Traces,
    outage: Arc<Outage>,
    receipts: Receipts,
}

/// From the outside in: every answer gets a request id, is told of, and gets the headers for other origins; deliveries get
/// receipts; who sends too much is told to wait; refusals during an outage are counted, an answer that takes too long is given up, and a
/// panic becomes an answer.
///
/// One layer for all of it: the router copies and boxes what it calls, once for each layer and request.
async fn surround(
    extract::State(around): extract::State<Arc<Around>>,
    mut request: Request,
    next: Next,
) -> Response {
    let around = &around;
    note_client(&around.config, &mut request);
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("", |matched| route(&around.config.root_path, matched.as_str()));
    request_id::assign(request, |request| {
        observe(&around.traces, route, request, |request| {
            cors::share(&around.config.cors, request, |request| {
                receipt::watch(&around.receipts, route, request, |request| {
                    limits::guard(&around.limits, route, request, |request| around.answer(request, next))
                })
            })
        })
    })
    .await
}

impl Around {
    async fn answer(&self, request: Request, next: Next) -> Response {
        let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
        let answer = answer.map(|answer| answer.unwrap_or_else(after_panic));
        outage::watch(&self.outage, answer_within(Patience::default().request, answer)).await
    }
}

/// Notes on the request where it comes from.
fn note_client(config: &Config, request: &mut Request) {
    let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() else { return };
    let client = ClientAddress::of(peer.ip(), request.headers(), &config.limits.trusted_proxies);
    request.extensions_mut().insert(client);
}

/// A route's template without the prefix that a proxy leaves on requests.
fn route<'a>(root_path: &str, matched: &'a str) -> &'a str {
    matched.strip_prefix(root_path).filter(|rest| rest.starts_with('/')).unwrap_or(matched)
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
