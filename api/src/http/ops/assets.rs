//! Style, script and icon, from the binary.

use axum::response::{IntoResponse, Response};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

const STYLE: &str = include_str!("../../../templates/ops/ops.css");
const SCRIPT: &str = include_str!("../../../templates/ops/ops.js");
const ICON: &str = include_str!("../../../templates/ops/icon.svg");

/// They change with a release, which is not worth a name with a digest.
const CACHED: HeaderValue = HeaderValue::from_static("private, max-age=300");

pub(super) async fn style() -> Response {
    asset("text/css; charset=utf-8", STYLE)
}

pub(super) async fn script() -> Response {
    asset("text/javascript; charset=utf-8", SCRIPT)
}

pub(super) async fn icon() -> Response {
    asset("image/svg+xml", ICON)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(kind)), (CACHE_CONTROL, CACHED)], text).into_response()
}
