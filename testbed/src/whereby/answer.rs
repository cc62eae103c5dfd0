//! One call's answer: the key, the rate limit, then the resource.

use std::time::{Duration, Instant};

use contract::event::format_timestamp;
use hyper::Method;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{State, budget, insights, meetings, themes};

/// A request, read to its end.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) authorization: String,
    pub(super) content_type: String,
    pub(super) body: Vec<u8>,
}

/// An answer, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    /// JSON; nothing when absent.
    pub(super) body: Option<Value>,
}

impl Request {
    /// Method and path, as in [`super::Call::what`].
    pub(super) fn what(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The body as JSON; `null` when it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The query's value of this name.
    pub(super) fn query(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl Answer {
    pub(super) fn json(status: u16, body: Value) -> Self {
        Self { status, headers: Vec::new(), body: Some(body) }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// A refusal. Whereby does not document the body.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Self::json(status, json!({ "error": text }))
    }

    /// Over the rate limit: the documented headers and body.
    pub(super) fn too_many(wait: Duration, limit: u32, now: OffsetDateTime) -> Self {
        let milliseconds = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        let body = json!({ "error": "Too many requests for key organization:1", "data": { "msLeft": milliseconds } });
        Self {
            headers: vec![
                ("retry-after", milliseconds.div_ceil(1_000).to_string()),
                ("x-ratelimit-reset", format_timestamp(now + wait)),
                ("x-ratelimit-limit", limit.to_string()),
                ("x-ratelimit-remaining", "0".to_owned()),
            ],
            ..Self::json(429, body)
        }
    }
}

/// Answers a request of whom `key` (the whole header) admits.
pub(super) fn answer(request: &Request, key: &str, state: &mut State, now: OffsetDateTime) -> Answer {
    if request.authorization != key {
        return Answer::error(401, "Unauthorized");
    }
    let points = budget::points(&request.method, &request.path);
    if let Err(wait) = state.budget.spend(points, Instant::now()) {
        return Answer::too_many(wait, state.budget.limit(), now);
    }
    let mut answer = resource(request, state, now);
    answer.headers.push(("x-ratelimit-limit", state.budget.limit().to_string()));
    answer.headers.push(("x-ratelimit-remaining", state.budget.left().to_string()));
    answer
}

fn resource(request: &Request, state: &mut State, now: OffsetDateTime) -> Answer {
    let account = &mut state.account;
    let path: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
    match (&request.method, path.as_slice()) {
        (&Method::POST, ["v1", "meetings"]) => meetings::create(request, account, now),
        (&Method::GET, ["v1", "meetings"]) => meetings::list(request, account),
        (&Method::GET, ["v1", "meetings", id]) => meetings::get(request, account, id),
        (&Method::DELETE, ["v1", "meetings", id]) => meetings::delete(account, id),
        (&Method::PUT, ["v1", "rooms", name, "theme", what]) => themes::put(request, account, name, what),
        (&Method::GET, ["v1", "insights", "room-sessions"]) => insights::room_sessions(request, account),
        (&Method::GET, ["v1", "insights", "participants"]) => insights::participants(request, account),
        _ => Answer::error(404, "Not found"),
    }
}
