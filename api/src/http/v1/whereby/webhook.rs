//! `POST /v1/whereby`: what Whereby tells of its rooms.
//!
//! Whereby takes every answer below 500 for final, waits five seconds and tries three times. So 4xx is only for what no repetition
//! would change, an event whose meeting is not known is kept and answered 200, and a database that is away is 503 in time.

use std::time::Duration;

use axum::extract::Request;
use axum::{Json, extract};
use bytes::Bytes;
use contract::event::MAX_EVENT_BYTES;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::db::meetings;
use crate::db::whereby::strays;
use crate::domain::acceptance::accept;
use crate::http::problem::ApiError;
use crate::http::signed::{malformed, refusal};
use crate::http::{State, body, invalid_event};
use crate::ingest::Outcome;
use crate::receipts::draft;
use crate::whereby::notice::Notice;
use crate::whereby::signature::{SIGNATURE, verify};

/// How long storing may take: Whereby waits for five seconds.
const PATIENCE: Duration = Duration::from_secs(4);

/// What Whereby sends.
#[derive(Debug, utoipa::ToSchema)]
#[expect(dead_code, reason = "the schema of a body that is read from its raw bytes")]
#[schema(rename_all = "camelCase")]
pub(super) struct WherebyWebhookEvent {
    /// Version of the form of the event.
    api_version: String,
    /// The event's id: repetitions have the same.
    id: String,
    /// When it happened.
    #[schema(format = DateTime)]
    created_at: String,
    /// What happened. Types that nobody knows are stored like the others.
    #[schema(rename = "type", min_length = 1, max_length = 128)]
    kind: String,
    /// The rest.
    data: Map<String, Value>,
}

/// What Whereby gets back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WherebyReply)]
pub(super) struct Reply {
    status: &'static str,
}

/// Stores an event. 200 means committed, now or before.
#[utoipa::path(
    post, path = "/v1/whereby", operation_id = "v1_whereby_webhook",
    request_body = WherebyWebhookEvent,
    responses((status = 200, body = Reply, description = "Successful Response")),
    security(("whereby" = [])),
)]
pub(super) async fn post(
    extract::State(state): extract::State<State>,
    request: Request,
) -> Result<Json<Reply>, ApiError> {
    let bytes = signed(&state, request).await?;
    let notice = Notice::parse(&bytes).map_err(|error| malformed(&bytes, &error))?;
    let stored = timeout(PATIENCE, store(&state, &notice, bytes.len())).await;
    stored.unwrap_or_else(|_| {
        let detail = "The database has not answered in time; an id that is sent again is stored once.";
        Err(ApiError::unavailable(&"storing a webhook takes too long", detail))
    })?;
    Ok(Json(Reply { status: "ok" }))
}

/// The body, whose signature verified.
async fn signed(state: &State, request: Request) -> Result<Bytes, ApiError> {
    let (parts, content) = request.into_parts();
    let bytes = body::read(&parts.headers, content, MAX_EVENT_BYTES).await?;
    // A header that is no visible ASCII cannot verify, and must not count as absent either.
    let header = parts.headers.get(SIGNATURE).map(|value| value.to_str().unwrap_or_default());
    let now = OffsetDateTime::now_utc().unix_timestamp();
    verify(&state.config.whereby.webhook_secrets, header, &bytes, now).map_err(refusal)?;
    body::refuse_encoded(&parts.headers)?;
    Ok(bytes)
}

async fn store(state: &State, notice: &Notice<'_>, bytes: usize) -> Result<(), ApiError> {
    let room_name = room_name(state, notice).await?;
    let event = notice.event(room_name.as_deref());
    let event = event.map_err(|error| invalid_event::refusal(&error, notice.body()))?;
    let event = accept(event).map_err(invalid_event::of_data)?;
    let id = event.id.clone();
    match state.ingest.store(vec![event], bytes).await?.into_iter().next() {
        Some(Outcome::Stored | Outcome::Duplicate | Outcome::Acknowledged) => Ok(()),
        Some(Outcome::MeetingUnknown) => {
            let line = notice.line(room_name.as_deref());
            strays::keep(&state.db, id.as_str(), room_name.as_deref(), &line).await?;
            draft::keep_stray();
            Ok(())
        }
        Some(Outcome::Refused(reason)) => Err(invalid_event::of_data(invalid_event::unstorable(&reason))),
        None => Err(ApiError::internal(&"an event got no outcome")),
    }
}

/// The room that the webhook names, or the one of the meeting that it names.
async fn room_name(state: &State, notice: &Notice<'_>) -> Result<Option<String>, ApiError> {
    if let Some(name) = notice.room_name() {
        return Ok(Some(name));
    }
    let Some(id) = notice.meeting_id() else { return Ok(None) };
    Ok(meetings::find(&state.db, id).await?.map(|(meeting, _)| meeting.room_name))
}
