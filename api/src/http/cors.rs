//! Cross-origin requests: which browsers' pages may read answers. Errors carry the headers, too, or the frontends could not show
//! them.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::request_id;
use crate::config::Cors;

const METHODS: HeaderValue = HeaderValue::from_static("DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");
const YES: HeaderValue = HeaderValue::from_static("true");

/// Answers preflight requests, and adds to other answers what lets an allowed origin read them.
pub(super) async fn share<F: Future<Output = Response>>(
    cors: &Cors,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let Some(origin) = request.headers().get(ORIGIN).cloned() else { return next(request).await };
    let allowed = allowed_origin(cors, &origin);
    if request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return preflight(allowed, cors.credentials, request.headers());
    }
    let mut response = next(request).await;
    let headers = response.headers_mut();
    vary_if_echoed(allowed.as_ref(), headers);
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_name(request_id::HEADER));
        if cors.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, YES);
        }
    }
    response
}

/// What `origin` is told; `None` when it is not allowed. Browsers refuse `*` together with credentials.
fn allowed_origin(cors: &Cors, origin: &HeaderValue) -> Option<HeaderValue> {
    match &cors.origins {
        None if cors.credentials => Some(origin.clone()),
        None => Some(HeaderValue::from_static("*")),
        Some(list) => {
            list.iter().any(|listed| listed.as_bytes() == origin.as_bytes()).then(|| origin.clone())
        }
    }
}

fn preflight(allowed: Option<HeaderValue>, credentials: bool, asked: &HeaderMap) -> Response {
    let mut response = match &allowed {
        Some(_) => (StatusCode::OK, "OK").into_response(),
        None => (StatusCode::BAD_REQUEST, "Disallowed CORS origin").into_response(),
    };
    let headers = response.headers_mut();
    vary_if_echoed(allowed.as_ref(), headers);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
    if let Some(wanted) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, YES);
        }
    }
    response
}

/// Unless every origin gets the same answer, caches must keep the answers apart.
fn vary_if_echoed(allowed: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if allowed.is_none_or(|origin| origin != "*") {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}
