//! Request ids: one per request, in every answer's `x-request-id`, in error bodies and in the log.
//!
//! A caller's own id is kept when it is short and plain; a proxy's and ours are then the same.

use std::fmt::Write as _;

use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, HeaderValue};

/// The header that carries a request's id, in both directions.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from a caller.
const MAX_BYTES: usize = 64;

tokio::task_local! {
    static CURRENT: HeaderValue;
}

/// Gives the request an id, and the answer the same.
pub(super) async fn assign<F: Future<Output = Response>>(
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let id = request.headers().get(HEADER).filter(|id| is_plain(id)).cloned().unwrap_or_else(fresh);
    let mut response = CURRENT.scope(id.clone(), next(request)).await;
    response.headers_mut().insert(HEADER, id);
    response
}

/// The id of the request that is being handled; `None` outside of one.
pub fn current() -> Option<String> {
    CURRENT.try_with(|id| id.to_str().ok().map(ToOwned::to_owned)).ok().flatten()
}

fn is_plain(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    !bytes.is_empty()
        && bytes.len() <= MAX_BYTES
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(byte))
}

fn fresh() -> HeaderValue {
    let mut text = String::with_capacity(16);
    write!(text, "{:016x}", fastrand::u64(..)).expect("a string takes everything");
    HeaderValue::from_str(&text).expect("hexadecimal digits are a header value")
}
