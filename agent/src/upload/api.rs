//! What is said to the API about an upload.

use contract::upload::{
    self, AbortReply, CompleteReply, CompleteRequest, PartsReply, PartsRequest, UploadId, UploadReply,
    UploadRequest,
};
use contract::verdict::Outcome;
use hyper::header::RETRY_AFTER;
use hyper::{Method, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;

use super::note::Note;
use crate::chain::Chain;
use crate::clock::now_ms;
use crate::delivery::client::{brief, explanation, seconds};
use crate::http::{Client, signed};
use crate::secret::SharedSecret;

/// The API, as uploads see it.
pub(super) struct Api {
    http: Client,
    base: String,
    secret: SharedSecret,
    timeout: Duration,
}

/// What came back, read.
#[derive(Debug)]
pub(super) struct Reply<T> {
    /// What a verdict needs to know.
    pub(super) outcome: Outcome,
    /// The body of a 2xx, if it is one that our API writes.
    pub(super) body: Option<T>,
    /// The `Retry-After` header of any answer.
    pub(super) retry_after: Option<Duration>,
    /// What the answer said, or what went wrong.
    pub(super) note: Note,
}

impl Api {
    /// The API at `base`, for example `https://reflector.example.com`. A request may take `timeout` as a whole.
    pub(super) fn new(http: Client, base: &str, secret: SharedSecret, timeout: Duration) -> Self {
        Self { http, base: base.trim_end_matches('/').to_owned(), secret, timeout }
    }

    pub(super) async fn begin(&self, request: &UploadRequest) -> Reply<UploadReply> {
        self.ask(Method::POST, upload::PATH, request.id.as_str(), Some(request)).await
    }

    pub(super) async fn parts(&self, id: &UploadId, request: &PartsRequest) -> Reply<PartsReply> {
        self.ask(Method::POST, &id.parts_path(), id.as_str(), Some(request)).await
    }

    pub(super) async fn complete(&self, id: &UploadId, request: &CompleteRequest) -> Reply<CompleteReply> {
        self.ask(Method::POST, &id.complete_path(), id.as_str(), Some(request)).await
    }

    pub(super) async fn abort(&self, id: &UploadId) -> Reply<AbortReply> {
        self.ask(Method::DELETE, &id.path(), id.as_str(), None::<&()>).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        id: &str,
        body: Option<&impl Serialize>,
    ) -> Reply<T> {
        let failed = |note: String| Reply {
            outcome: Outcome::Unreachable,
            body: None,
            retry_after: None,
            note: note.into(),
        };
        let body = match body.map(serde_json::to_vec).transpose() {
            Ok(body) => body.unwrap_or_default(),
            Err(error) => return failed(format!("the request cannot be written: {error}")),
        };
        let uri: Uri = match format!("{}{path}", self.base).parse() {
            Ok(uri) => uri,
            Err(error) => return failed(format!("api.url is not an address: {error}")),
        };
        let (secret, now) = (self.secret.current(), now_ms().div_euclid(1000));
        let request = signed(method, uri, &secret, id, now, contract::batch::JSON, body.into());
        let answer = match self.http.exchange(request, self.timeout).await {
            Ok(answer) => answer,
            Err(error) => return failed(Chain(&error).to_string()),
        };
        let status = answer.head.status;
        let retry_after =
            answer.head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(seconds);
        let code = contract::problem::code_of_body(&answer.body);
        let outcome = Outcome::Answered { status: status.as_u16(), code, retry_after };
        let body = if status.is_success() { serde_json::from_slice(&answer.body).ok() } else { None };
        // An answer that was understood may hold presigned addresses, which are never repeated.
        let full = if body.is_some() { String::new() } else { note(status, &answer.body) };
        let note = Note { brief: brief(outcome, &full), full };
        Reply { outcome, body, retry_after, note }
    }
}

fn note(status: hyper::StatusCode, body: &[u8]) -> String {
    if status.is_success() {
        format!("{} not from a Reflector API", status.as_u16())
    } else {
        explanation(status.as_u16(), body)
    }
}
