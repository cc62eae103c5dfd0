//! Answers for what no route takes.

use axum::response::{IntoResponse, Response};
use contract::problem::ProblemCode;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode, Uri};

use super::problem::ApiError;

/// A path with a slash too many leads to the one without, with the method and body kept; any other is not found.
pub(super) async fn not_found(uri: Uri) -> Response {
    match without_trailing_slash(&uri).and_then(|target| HeaderValue::from_str(&target).ok()) {
        Some(target) => (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, target)]).into_response(),
        None => ApiError::titled(ProblemCode::NotFound).into_response(),
    }
}

/// The path exists, the method does not. The router adds `Allow`.
pub(super) async fn method_not_allowed() -> ApiError {
    ApiError::titled(ProblemCode::MethodNotAllowed)
}

/// Relative to this server: a path that begins with two slashes would name another host.
fn without_trailing_slash(uri: &Uri) -> Option<String> {
    let path = uri.path().strip_suffix('/')?.trim_end_matches('/');
    if path.is_empty() || path.starts_with("//") {
        return None;
    }
    Some(uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_slash_too_many_is_redirected_and_never_to_another_host() {
        for (uri, expected) in [
            ("/v1/rooms/", Some("/v1/rooms")),
            ("/v1/rooms/?page=2", Some("/v1/rooms?page=2")),
            ("/v1/rooms", None),
            ("/", None),
            ("//evil.example/", None),
        ] {
            let uri = Uri::try_from(uri).unwrap();
            assert_eq!(without_trailing_slash(&uri).as_deref(), expected, "{uri}");
        }
    }
}
