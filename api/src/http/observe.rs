//! Tells of each request once it is answered: one log line, one observation, and a span where somebody collects them.
//!
//! Neither holds the path, only the route's template: paths and query strings may carry names and tokens. Deliveries that went well and
//! questions for the service's health come by the thousand; their lines are for `RUST_LOG=debug`.

use std::time::{Instant, SystemTime};

use axum::extract::Request;
use axum::response::Response;
use http::StatusCode;

use super::{limits, request_id};
use crate::meters;
use crate::traces::{Answered, Traces};

/// What stands for a path that no route takes.
const UNMATCHED: &str = "unmatched";

/// Answers a request to `route`, which is empty for no route, and tells of it.
pub(super) async fn observe<F: Future<Output = Response>>(
    traces: &Traces,
    route: &str,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let (begun, came_at) = (Instant::now(), SystemTime::now());
    let method = request.method().clone();
    let parent = traces.parent(request.headers());
    let answer = next(request).await;
    let (took, status) = (begun.elapsed(), answer.status());
    let route = if route.is_empty() { UNMATCHED } else { route };
    meters::request(&method, route, status, took);
    if let Some(parent) = parent {
        let request_id = request_id::current().unwrap_or_default();
        traces.tell(&parent, &Answered { method: &method, route, status, came_at, request_id });
    }
    let (status, ms) = (status.as_u16(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    if is_routine(&method, route, answer.status()) {
        tracing::debug!(request.id = request_id::current(), %method, route, status, ms, "answered {method} {route} with {status}");
    } else {
        tracing::info!(request.id = request_id::current(), %method, route, status, ms, "answered {method} {route} with {status}");
    }
    answer
}

fn is_routine(method: &http::Method, route: &str, status: StatusCode) -> bool {
    let is_look =
        matches!(route, "/health" | "/metrics") || route.ends_with("/health") || route.starts_with("/ops/");
    let is_look = is_look && method == http::Method::GET;
    status.is_success() && (is_look || limits::is_delivery(method, route))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn what_comes_by_the_thousand_is_told_when_it_fails() {
        for (method, route, status, expected) in [
            (Method::GET, "/health", 200, true),
            (Method::GET, "/health", 503, false),
            (Method::GET, "/v1/jitsi/health", 200, true),
            (Method::POST, "/v1/jitsi/events", 200, true),
            (Method::POST, "/v1/jitsi/events", 401, false),
            (Method::POST, "/v1/whereby", 200, true),
            (Method::POST, "/v1/rooms", 200, false),
            (Method::GET, UNMATCHED, 404, false),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_routine(&method, route, status), expected, "{method} {route} {status}");
        }
    }
}
