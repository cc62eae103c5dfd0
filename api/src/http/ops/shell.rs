//! What all pages have around them, and how they are sent.

use std::convert::Infallible;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use contract::problem::ProblemCode;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use time::OffsetDateTime;

use super::text::When;
use crate::http::problem::ApiError;

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Everything comes from this service, and nothing that is written into a page is executed.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages, in the order of the menu.
const MENU: [(&str, &str); 6] = [
    ("overview", "Overview"),
    ("agents", "Agents"),
    ("deliveries", "Deliveries"),
    ("meetings", "Meetings"),
    ("recordings", "Recordings"),
    ("webhooks", "Webhooks"),
];

/// What a page has around it.
#[derive(Debug, Clone)]
pub(super) struct Shell {
    /// Leads from this page to the directory of all of them, so that a proxy may serve them under any path.
    pub(super) base: String,
    section: String,
    /// When the page was made.
    pub(super) now: OffsetDateTime,
}

/// A line of the menu.
pub(super) struct Item {
    pub(super) href: String,
    pub(super) label: &'static str,
    pub(super) is_current: bool,
}

impl Shell {
    fn of(path: &str) -> Self {
        let section = path.trim_start_matches("/ops").trim_start_matches('/').split('/').next();
        Self {
            base: base(path),
            section: section.unwrap_or_default().to_owned(),
            now: OffsetDateTime::now_utc(),
        }
    }

    /// The menu.
    pub(super) fn menu(&self) -> Vec<Item> {
        let item = |(page, label): (&str, &'static str)| Item {
            href: format!("{}{page}", self.base),
            label,
            is_current: page == self.section,
        };
        MENU.into_iter().map(item).collect()
    }

    /// When the page was made, by the clock.
    pub(super) fn clock(&self) -> When {
        When::clock(self.now)
    }

    /// `at` as seen from when the page was made.
    pub(super) fn ago(&self, at: OffsetDateTime) -> When {
        When::ago(at, self.now)
    }
}

impl<S: Sync> FromRequestParts<S> for Shell {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts.uri.path()))
    }
}

/// Leads from the page at `path` to the directory of all pages.
pub(super) fn base(path: &str) -> String {
    match path.trim_start_matches("/ops").matches('/').count() {
        0 => "ops/".to_owned(),
        depth => "../".repeat(depth - 1),
    }
}

/// A page as an answer.
pub(super) fn page(template: &impl Template) -> Result<Response, Trouble> {
    send(StatusCode::OK, template).map_err(|error| Trouble(ApiError::internal(&error)))
}

fn send(status: StatusCode, template: &impl Template) -> askama::Result<Response> {
    let mut response = (status, template.render()?).into_response();
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    Ok(response)
}

/// On an answer: from where its page may play media besides this service.
#[derive(Debug, Clone)]
pub(super) struct MediaFrom(pub(super) String);

/// An answer that is a sentence. The page around it is made when it is known where it stands.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    status: StatusCode,
    title: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "ops/notice.html")]
struct NoticePage<'a> {
    base: &'a str,
    notice: &'a Notice,
    is_temporary: bool,
}

impl Notice {
    pub(super) fn new(status: StatusCode, title: &'static str, text: impl Into<String>) -> Self {
        Self { status, title, text: text.into() }
    }

    /// There is nothing here.
    pub(super) fn nothing() -> Self {
        let text = "It may have been removed, or the address has a mistake. The menu leads on.";
        Self::new(StatusCode::NOT_FOUND, "There is no such page", text)
    }
}

impl IntoResponse for Notice {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Why there is no page. Says what an API's caller would be told, as a page.
#[derive(Debug)]
pub(super) struct Trouble(pub(super) ApiError);

impl<E: Into<ApiError>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        let code = self.0.code();
        let (parts, _) = self.0.into_response().into_parts();
        let notice = match code {
            ProblemCode::Unavailable => Notice::new(
                parts.status,
                "The database does not answer",
                "Deliveries are refused until it does; agents keep everything and send it again. This page tries again by itself.",
            ),
            ProblemCode::Internal => Notice::new(
                parts.status,
                "Something went wrong here",
                "The log of reflector-api has the reason under the request id of this answer.",
            ),
            _ => Notice::nothing(),
        };
        let mut response = notice.into_response();
        // The answer keeps what others look for: that this is an outage, and when to come back.
        response.headers_mut().extend(
            parts
                .headers
                .into_iter()
                .filter(|(name, _)| name.as_ref().is_some_and(|name| *name == http::header::RETRY_AFTER)),
        );
        response.extensions_mut().extend(parts.extensions);
        response
    }
}

/// Completes an answer: a notice becomes a page, and browsers are told to be strict.
pub(super) fn finish(mut response: Response, base: &str) -> Response {
    if let Some(notice) = response.extensions_mut().remove::<Notice>() {
        let is_temporary = notice.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Ok(page) = send(notice.status, &NoticePage { base, notice: &notice, is_temporary }) {
            let (parts, _) = std::mem::take(&mut response).into_parts();
            response = page;
            response.extensions_mut().extend(parts.extensions);
            response.headers_mut().extend(parts.headers);
        }
    }
    let media = response.extensions_mut().remove::<MediaFrom>();
    let policy =
        media.map_or_else(|| POLICY.to_owned(), |MediaFrom(origin)| format!("{POLICY}; media-src {origin}"));
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Addresses in a page may open recordings.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_finds_the_others_under_any_path_of_a_proxy() {
        for (path, expected) in [
            ("/ops", "ops/"),
            ("/ops/overview", ""),
            ("/ops/meetings/m-1", "../"),
            ("/ops/webhooks/w-1/retry", "../../"),
        ] {
            assert_eq!(base(path), expected, "{path}");
        }
        let menu = Shell::of("/ops/meetings/m-1").menu();
        let current: Vec<_> =
            menu.iter().filter(|item| item.is_current).map(|item| item.href.as_str()).collect();
        assert_eq!(current, ["../meetings"]);
    }
}
