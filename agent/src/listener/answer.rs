//! From a request to its answer.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};

use sha2::{Digest, Sha256};

use super::health;
use crate::clock::now_ms;
use crate::event_sync::translate::Route;
use crate::event_sync::{EventSync, MAX_REQUEST};
use crate::metrics::{Counting, Now, render};
use crate::outbox::log::DeliveryLog;
use crate::outbox::{Backlog, OutboxError};

/// What the listener serves.
pub struct Site {
    /// Takes the stock module's events.
    pub event_sync: EventSync,
    /// The bearer token that its requests must carry.
    pub token: Option<Token>,
    /// Where the outbox is.
    pub outbox: PathBuf,
    /// Bytes that the outbox may use.
    pub max_bytes: u64,
    /// What was counted so far.
    pub counting: Counting,
    /// When the agent started, in milliseconds since 1970.
    pub started_at: i64,
}

/// A bearer token, kept as its digest: comparing digests tells nobody how much of a guess was right.
pub struct Token(Sha256Digest);

type Sha256Digest = [u8; 32];

impl Token {
    /// The token that `text` holds, without the blanks around it.
    pub fn new(text: &str) -> Self {
        Self(Sha256::digest(text.trim().as_bytes()).into())
    }

    fn is(&self, given: &[u8]) -> bool {
        Sha256Digest::from(Sha256::digest(given)) == self.0
    }
}

type Answer = Response<Full<Bytes>>;

impl Site {
    /// Answers one request. Its body must come within `patience`.
    pub(super) async fn answer(&self, request: Request<Incoming>, patience: Duration) -> Answer {
        let path = request.uri().path().to_owned();
        match (request.method(), path.as_str(), Route::of_path(&path)) {
            (&Method::GET | &Method::HEAD, "/healthz", _) => self.health(),
            (&Method::GET | &Method::HEAD, "/metrics", _) => self.metrics(),
            (&Method::POST, _, Some(route)) => {
                let answer = self.event(route, request, patience).await;
                let status = answer.status().as_u16();
                tracing::debug!(count.event_sync_requests = 1, status, path, "event_sync reported");
                answer
            }
            (_, "/healthz" | "/metrics", _) => not_allowed("GET"),
            (_, _, Some(_)) => not_allowed("POST"),
            (_, _, None) => text(
                StatusCode::NOT_FOUND,
                "nothing is here: POST …/events/{room/created,room/destroyed,occupant/joined,occupant/left}, GET /healthz, GET /metrics",
            ),
        }
    }

    async fn event(&self, route: Route, request: Request<Incoming>, patience: Duration) -> Answer {
        if !self.is_allowed(request.headers().get(AUTHORIZATION)) {
            tracing::warn!(
                "a request of event_sync came without the right bearer token; its `api_headers` must have `Authorization = \"Bearer …\"` with the content of `token-file`"
            );
            return text(StatusCode::UNAUTHORIZED, "the bearer token is missing or wrong");
        }
        // Whoever says beforehand that it is too much need not send it.
        if request.body().size_hint().lower() > MAX_REQUEST as u64 {
            return too_large();
        }
        let body = Limited::new(request.into_body(), MAX_REQUEST).collect();
        let body = match tokio::time::timeout(patience, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                return too_large();
            }
            Ok(Err(_)) => return text(StatusCode::BAD_REQUEST, "the request ended before its body did"),
            Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        };
        let answer = self.event_sync.take(route, &body, now_ms());
        let mut response = text(answer.status, answer.text);
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }

    fn is_allowed(&self, header: Option<&HeaderValue>) -> bool {
        let Some(expected) = &self.token else { return true };
        let given = header.and_then(|header| header.as_bytes().strip_prefix(b"Bearer "));
        given.is_some_and(|given| expected.is(given))
    }

    fn health(&self) -> Answer {
        match self.backlog() {
            Ok(backlog) => match health::troubles(&backlog, self.max_bytes, now_ms()) {
                troubles if troubles.is_empty() => text(StatusCode::OK, "ok"),
                troubles => text(StatusCode::SERVICE_UNAVAILABLE, &troubles.join("\n")),
            },
            Err(error) => text(
                StatusCode::SERVICE_UNAVAILABLE,
                &format!("the outbox cannot be read: {}", crate::chain::Chain(&error)),
            ),
        }
    }

    fn metrics(&self) -> Answer {
        let log = DeliveryLog::open(&self.outbox).ok();
        let backlog = log.as_ref().and_then(|log| log.backlog().ok());
        let now = Now {
            outbox: backlog.as_ref(),
            clock_offset_ms: log.as_ref().and_then(|log| log.clock_offset_ms().ok().flatten()),
            max_bytes: self.max_bytes,
            started_at: self.started_at,
            at: now_ms(),
        };
        let mut response = text(StatusCode::OK, "");
        *response.body_mut() = Full::new(render(&self.counting, &now).into());
        let version = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, version);
        response
    }

    fn backlog(&self) -> Result<Backlog, OutboxError> {
        DeliveryLog::open(&self.outbox)?.backlog()
    }
}

fn too_large() -> Answer {
    text(StatusCode::PAYLOAD_TOO_LARGE, "more than 1 MiB is not an event")
}

fn not_allowed(method: &'static str) -> Answer {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {method} is answered here"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(method));
    response
}

fn text(status: StatusCode, text: &str) -> Answer {
    let mut response = Response::new(Full::new(format!("{text}\n").into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
