//! `POST /v1/jitsi/events`: one event, or a batch of them.

use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use bytes::Bytes;
use contract::batch::{BatchReply, EventReply, JSON, NDJSON};
use contract::event::Event;
use serde_json::Value;

use super::batch;
use crate::domain::acceptance::accept;
use crate::http::problem::ApiError;
use crate::http::signed::{Kind, Signed, unsupported};
use crate::http::{State, invalid_event, store_event};

/// One event.
#[derive(Debug, utoipa::ToSchema)]
pub struct JitsiWebhookEvent {
    /// The event's identity; where it is not said, it is derived from the body.
    pub id: Option<String>,
    /// What happened, such as `muc-occupant-joined`. Unknown names are kept.
    pub event: String,
    /// Where: the room's name, or its address.
    pub room: String,
    /// When: RFC 3339, or seconds since 1970.
    pub timestamp: Timestamp,
    /// What else is known.
    #[schema(value_type = Option<Object>)]
    pub data: Option<Value>,
}

/// A time, as senders write it.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Timestamp {
    /// RFC 3339.
    Text(String),
    /// Seconds since 1970.
    Seconds(f64),
}

/// What a sender gets back: for one event, or for a batch.
#[derive(Debug, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = JitsiEventsReply)]
pub enum Answer {
    /// For one event.
    One(EventReply),
    /// For a batch.
    Batch(BatchReply),
}

/// Stores what a Jitsi host reports. 200 means committed, now or before.
#[utoipa::path(
    post, path = "/v1/jitsi/events", operation_id = "v1_jitsi_events_webhook",
    request_body(content(
        (JitsiWebhookEvent = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 200, body = Answer, description = "Successful Response"),
        (status = 404, description = "No meeting has this room name"),
    ),
    security(("jitsi" = [])),
)]
pub(super) async fn post(
    extract::State(state): extract::State<State>,
    signed: Signed,
) -> Result<Response, ApiError> {
    match signed.kind {
        Kind::Json => Ok(Json(one(&state, &signed.bytes).await?).into_response()),
        Kind::Ndjson => Ok(Json(batch::store(&state, &signed.bytes).await?).into_response()),
        Kind::Other => Err(unsupported(&[JSON, NDJSON])),
    }
}

async fn one(state: &State, body: &Bytes) -> Result<EventReply, ApiError> {
    let event = Event::parse(body).map_err(|error| invalid_event::refusal(&error, body))?;
    let event = accept(event).map_err(invalid_event::of_data)?;
    let (name, room) = (event.name.clone(), event.room.to_string());
    store_event::store(state, event, body.len()).await?;
    Ok(EventReply { status: "ok".to_owned(), event: name, room })
}
