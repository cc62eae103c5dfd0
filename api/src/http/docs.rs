//! `GET /openapi.json`, and `GET /docs`: the same as a page to read and to try requests on. All that the page loads comes from here.

use std::sync::Arc;

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use contract::problem::ProblemCode;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::Value;
use utoipa_swagger_ui::Config;

use super::State;
use super::path_text::PathText;
use super::problem::ApiError;

/// Addresses are relative: behind a proxy, the browser sees this page under a prefix.
const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Reflector API</title>
<link rel="stylesheet" href="docs/swagger-ui.css">
<link rel="stylesheet" href="docs/index.css">
<link rel="icon" href="docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<noscript>This page needs JavaScript. <a href="openapi.json">openapi.json</a> says the same.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/swagger-ui-standalone-preset.js"></script>
<script src="docs/swagger-initializer.js"></script>
</body>
</html>
"#;

/// The page styles its parts where they stand, and draws small pictures from `data:` addresses.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The files of a release change with it, and only then.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The routes that serve `document`.
pub(super) fn router(document: &Value) -> Router<State> {
    let document = Bytes::from(document.to_string());
    let json = HeaderValue::from_static("application/json");
    // Nobody else is asked whether the document is valid.
    let config = Arc::new(Config::from("openapi.json").validator_url("none"));
    Router::new()
        .route("/openapi.json", get(async || ([(CONTENT_TYPE, json)], document)))
        .route("/docs", get(async || ([(CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))))
        .route("/docs/{file}", get(async |PathText(name): PathText| file(&name, config)))
}

fn file(name: &str, config: Arc<Config<'_>>) -> Result<Response, ApiError> {
    let found = utoipa_swagger_ui::serve(name, config).map_err(|error| ApiError::internal(&error))?;
    let file = found.ok_or_else(|| ApiError::titled(ProblemCode::NotFound))?;
    let kind = HeaderValue::from_str(&file.content_type).map_err(|error| ApiError::internal(&error))?;
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, AN_HOUR)], file.bytes.into_owned()).into_response())
}
