//! `GET /openapi.json`, and `GET /docs`: the same as a page to read and to try requests on. All that the page loads comes from here.

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use contract::problem::ProblemCode;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use serde_json::Value;

use super::State;
use super::path_text::PathText;
use super::problem::ApiError;

macro_rules! compressed {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".gz"))
    };
}

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
<script src="docs/initializer.js"></script>
</body>
</html>
"#;

/// The page styles its parts where they stand, and draws small pictures from `data:` addresses.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Draws the page. Nobody else is asked whether the document is valid.
const INITIALIZER: &str = r##"window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: "none",
});
"##;

/// The files of Swagger UI that the page needs, as they come out of the build: with their types, compressed.
const FILES: [(&str, &str, &[u8]); 4] = [
    ("favicon-32x32.png", "image/png", compressed!("favicon-32x32.png")),
    ("index.css", "text/css; charset=utf-8", compressed!("index.css")),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8", compressed!("swagger-ui-bundle.js")),
    ("swagger-ui.css", "text/css; charset=utf-8", compressed!("swagger-ui.css")),
];

const SCRIPT: HeaderValue = HeaderValue::from_static("text/javascript; charset=utf-8");

/// The files of a release change with it, and only then.
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// The routes that serve `document`.
pub(super) fn router(document: &Value) -> Router<State> {
    let document = Bytes::from(document.to_string());
    let json = HeaderValue::from_static("application/json");
    Router::new()
        .route("/openapi.json", get(async || ([(CONTENT_TYPE, json)], document)))
        .route("/docs", get(async || ([(CONTENT_SECURITY_POLICY, POLICY)], Html(PAGE))))
        .route("/docs/{file}", get(async |PathText(name): PathText| file(&name)))
}

/// Every browser unpacks gzip, so there is no other form.
fn file(name: &str) -> Result<Response, ApiError> {
    if name == "initializer.js" {
        return Ok(([(CONTENT_TYPE, SCRIPT), (CACHE_CONTROL, AN_HOUR)], INITIALIZER).into_response());
    }
    let found = FILES.iter().find(|(known, ..)| *known == name);
    let (_, kind, bytes) = found.ok_or_else(|| ApiError::titled(ProblemCode::NotFound))?;
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        (CACHE_CONTROL, AN_HOUR),
    ];
    Ok((headers, *bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_the_page_asks_for_is_here_and_small() {
        let asked: Vec<_> = PAGE.split("\"docs/").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(asked.len(), FILES.len() + 1, "{asked:?}");
        for name in asked {
            let answer = file(name).unwrap();
            let is_packed = answer.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
            assert_eq!(is_packed, name != "initializer.js", "{name}");
        }
        assert!(FILES.iter().all(|(.., bytes)| bytes.starts_with(&[0x1f, 0x8b])), "gzip");
        assert!(FILES.iter().map(|(.., bytes)| bytes.len()).sum::<usize>() < 700_000);
        assert_eq!(file("swagger-ui-bundle.js.map").unwrap_err().code(), ProblemCode::NotFound);
    }
}
