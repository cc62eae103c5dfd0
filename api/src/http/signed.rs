//! Signed bodies: the size is checked first, then the signature over the raw bytes, and only then anything else.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use contract::batch::{self, MAX_BYTES};
use contract::event::MAX_EVENT_BYTES;
use contract::problem::ProblemCode;
use contract::signature::{Secrets, SignatureError, WEBHOOK_ID};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::problem::ApiError;
use super::validation::Invalid;
use super::{State, body};
use crate::auth::webhook;

/// A body whose signature verified.
#[derive(Debug)]
pub struct Signed {
    /// The enrolled agent whose signature it is; `None` for the secret that all hosts share.
    pub agent: Option<String>,
    /// What the content type says it is.
    pub kind: Kind,
    /// The raw bytes.
    pub bytes: Bytes,
}

/// What a signed body is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `application/json`, or nothing at all: one object.
    Json,
    /// `application/x-ndjson`: one object per line.
    Ndjson,
    /// Anything else.
    Other,
}

impl FromRequest<State> for Signed {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &State) -> Result<Self, ApiError> {
        Self::read(request, state, false).await
    }
}

/// Such a body of a request that only our agent makes. Its signature has a date whatever `JITSI_REQUIRE_TIMESTAMP` says, so that
/// nobody can repeat it later.
#[derive(Debug)]
pub struct Dated {
    /// The body.
    pub signed: Signed,
    /// What it was signed as: `webhook-id`.
    pub id: String,
}

impl FromRequest<State> for Dated {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &State) -> Result<Self, ApiError> {
        let id = request.headers().get(WEBHOOK_ID).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let signed = Signed::read(request, state, true).await?;
        // A dated signature covers the id, so that it is there.
        Ok(Self { signed, id: id.unwrap_or_default() })
    }
}

impl Signed {
    async fn read(request: Request, state: &State, needs_date: bool) -> Result<Self, ApiError> {
        let (parts, content) = request.into_parts();
        let kind = Kind::of(&parts.headers);
        let limit = if kind == Kind::Ndjson { MAX_BYTES } else { MAX_EVENT_BYTES };
        let bytes = body::read(&parts.headers, content, limit).await?;
        let secrets = secrets_of(&parts.headers, state).await?;
        let (now, needs_date) =
            (OffsetDateTime::now_utc(), needs_date || state.config.jitsi.require_timestamp);
        webhook::verify(secrets.as_deref(), &parts.headers, &bytes, now, needs_date).map_err(refusal)?;
        body::refuse_encoded(&parts.headers)?;
        let agent = webhook::agent(&parts.headers).map(str::to_owned);
        Ok(Self { agent, kind, bytes })
    }

    /// The body of a route that takes one JSON object of this form.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, ApiError> {
        if self.kind != Kind::Json {
            return Err(unsupported(&[batch::JSON]));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| malformed(&self.bytes, &error))
    }

    /// The bytes of a route that takes one JSON object only.
    pub fn into_json(self) -> Result<Bytes, ApiError> {
        if self.kind == Kind::Json { Ok(self.bytes) } else { Err(unsupported(&[batch::JSON])) }
    }
}

/// What a delivery may be signed with: the secret of the agent that it names, else the one that all hosts share. An agent that is not
/// enrolled, or not any more, is not taken for a host without a name.
async fn secrets_of(headers: &HeaderMap, state: &State) -> Result<Option<Arc<Secrets>>, ApiError> {
    match webhook::agent(headers) {
        Some(name) => Ok(state.enrolment.secrets(name).await?),
        None if state.config.agents.required => Ok(None),
        None => Ok(state.config.jitsi.webhook_secrets.clone()),
    }
}

impl Kind {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Self::Json };
        let text = value.to_str().unwrap_or_default();
        match text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "" | batch::JSON => Self::Json,
            batch::NDJSON => Self::Ndjson,
            _ => Self::Other,
        }
    }
}

/// The refusal of a body that is no JSON, or has another form.
pub fn malformed(body: &[u8], error: &serde_json::Error) -> ApiError {
    if !error.is_data() {
        return ApiError::new(ProblemCode::JsonInvalid, json!([Invalid::not_json(body, error)]));
    }
    let msg = error.to_string();
    let kind = if msg.starts_with("missing field") { "missing" } else { "value_error" };
    let member = msg.split('`').nth(1).filter(|_| kind == "missing");
    let loc = std::iter::once("body").chain(member).map(Value::from).collect();
    Invalid { kind, loc, msg, input: Value::Null, ctx: None }.into()
}

/// The refusal of a content type by a route that takes `types`.
pub fn unsupported(types: &[&str]) -> ApiError {
    ApiError::new(ProblemCode::MediaTypeUnsupported, format!("Content-Type must be {}", types.join(" or ")))
}

/// The refusal of a signature.
pub fn refusal(error: SignatureError) -> ApiError {
    match error {
        SignatureError::Missing | SignatureError::Mismatch => ApiError::titled(ProblemCode::SignatureInvalid),
        SignatureError::Undated => ApiError::new(
            ProblemCode::TimestampInvalid,
            "A signed timestamp is required here: send webhook-id, webhook-timestamp and webhook-signature",
        ),
        SignatureError::Stale(seconds) => {
            let direction = if seconds > 0 { "behind" } else { "ahead of" };
            let distance = seconds.unsigned_abs();
            let detail = format!(
                "The signature's timestamp is {distance} s {direction} this server's clock; sign anew, and compare both \
                 clocks if this goes on"
            );
            ApiError::new(ProblemCode::TimestampInvalid, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_read_leniently() {
        for (value, expected) in [
            (None, Kind::Json),
            (Some("application/json"), Kind::Json),
            (Some("Application/JSON; charset=utf-8"), Kind::Json),
            (Some("application/x-ndjson"), Kind::Ndjson),
            (Some("text/plain"), Kind::Other),
            (Some("application/jsonp"), Kind::Other),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(CONTENT_TYPE, value.parse().unwrap());
            }
            assert_eq!(Kind::of(&headers), expected, "{value:?}");
        }
    }
}
