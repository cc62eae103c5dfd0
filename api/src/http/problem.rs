//! Error answers: RFC 9457 bodies with a code of the contract.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use contract::problem::{Problem, ProblemCode};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::outage::Reason;
use super::request_id;

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The scheme that people's programs authenticate with. Deliveries are signed, which is no HTTP scheme.
const BEARER: HeaderValue = HeaderValue::from_static("Bearer");

/// After how many seconds a caller may try again when a part of the server does not answer.
const RETRY_SECONDS: u32 = 1;

/// A refusal: what a handler returns instead of an answer.
#[derive(Debug)]
pub struct ApiError {
    problem: Box<Problem>,
    retry_after: Option<u32>,
    outage: Option<Reason>,
}

impl ApiError {
    /// A refusal with a sentence for people, or with the list form of a validation error.
    pub fn new(code: ProblemCode, detail: impl Into<serde_json::Value>) -> Self {
        Self { problem: Box::new(Problem::new(code, detail)), retry_after: None, outage: None }
    }

    /// A refusal whose title says everything.
    pub fn titled(code: ProblemCode) -> Self {
        Self::new(code, code.title())
    }

    /// A refusal that another time would not be: 503 with `Retry-After`.
    pub fn for_now(detail: impl Into<serde_json::Value>) -> Self {
        Self { retry_after: Some(RETRY_SECONDS), ..Self::new(ProblemCode::Unavailable, detail) }
    }

    /// The same, with the time after which it is worth trying again.
    pub fn for_now_in(seconds: u32, detail: impl Into<serde_json::Value>) -> Self {
        Self { retry_after: Some(seconds), ..Self::for_now(detail) }
    }

    /// The caller asks too often: 429, with the time after which it may again.
    pub fn too_many(seconds: u32, detail: impl Into<serde_json::Value>) -> Self {
        Self { retry_after: Some(seconds), ..Self::new(ProblemCode::RateLimited, detail) }
    }

    /// The same as [`Self::for_now`] for want of the database. The reason is for the log only, which has one line for all of an outage's requests.
    pub fn unavailable(reason: &dyn std::fmt::Display, detail: &str) -> Self {
        tracing::debug!(request.id = request_id::current(), "answering 503: {reason}");
        Self { outage: Some(Reason(reason.to_string())), ..Self::for_now(detail) }
    }

    /// The object storage does not do what it is asked. The reason is logged by whoever knows it.
    pub fn storage_unavailable(detail: impl Into<serde_json::Value>) -> Self {
        Self { retry_after: Some(RETRY_SECONDS), ..Self::new(ProblemCode::StorageUnavailable, detail) }
    }

    /// The meeting platform does not do what it is asked; it may in `wait`. The reason is logged by whoever knows it.
    pub fn platform_unavailable(detail: impl Into<serde_json::Value>, wait: Duration) -> Self {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(RETRY_SECONDS);
        Self { retry_after: Some(seconds), ..Self::new(ProblemCode::PlatformUnavailable, detail) }
    }

    /// The sender did not get its body through in time. 503, because a sender must not take this for an objection to the body.
    pub fn too_slow(patience: Duration) -> Self {
        let detail = format!("The body did not arrive within {} s; send it again.", patience.as_secs());
        Self::for_now(detail)
    }

    /// The server failed: 500. The reason is for the log only.
    pub fn internal(reason: &dyn std::fmt::Display) -> Self {
        tracing::error!(request.id = request_id::current(), "answering 500: {reason}");
        Self::titled(ProblemCode::Internal)
    }

    /// The refusal's code.
    pub fn code(&self) -> ProblemCode {
        self.problem.code
    }
}

impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        if crate::db::is_outage(&error) {
            Self::unavailable(&error, "The database does not answer; try again shortly.")
        } else {
            Self::internal(&error)
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        self.problem.request_id = request_id::current();
        let status = StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.problem).unwrap_or_default();
        let mut response = (status, [(CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        // Whoever surrounds the handler can tell what was refused, and why.
        response.extensions_mut().insert(self.problem.code);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(reason) = self.outage {
            response.extensions_mut().insert(reason);
        }
        if matches!(self.problem.code, ProblemCode::NotAuthenticated | ProblemCode::AuthenticationInvalid) {
            response.headers_mut().insert(WWW_AUTHENTICATE, BEARER);
        }
        response
    }
}
