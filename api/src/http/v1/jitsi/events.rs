//! `POST /v1/jitsi/events`: one event, or a batch of them.

use axum::{Json, extract};
use bytes::Bytes;
use contract::batch::{BatchReply, EventReply, JSON, NDJSON};
use contract::event::Event;
use serde::Serialize;

use super::batch;
use super::schema::JitsiWebhookEvent;
use crate::domain::acceptance::accept;
use crate::http::problem::ApiError;
use crate::http::signed::{Kind, Signed, unsupported};
use crate::http::{State, invalid_event, store_event};

/// What a sender gets back: for one event, or for a batch.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
#[schema(as = JitsiEventsReply)]
pub(super) enum Answer {
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
) -> Result<Json<Answer>, ApiError> {
    match signed.kind {
        Kind::Json => Ok(Json(Answer::One(one(&state, &signed.bytes).await?))),
        Kind::Ndjson => Ok(Json(Answer::Batch(batch::store(&state, &signed.bytes).await?))),
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
