//! `POST /v1/jitsi/events`: one event, or a batch of them.

use axum::response::{IntoResponse, Response};
use axum::{Json, extract};
use bytes::Bytes;
use contract::batch::{EventReply, JSON, NDJSON};
use contract::event::Event;

use super::batch;
use crate::domain::acceptance::accept;
use crate::http::problem::ApiError;
use crate::http::signed::{Kind, Signed, unsupported};
use crate::http::{State, invalid_event, store_event};

/// Stores what a Jitsi host reports. 200 means committed, now or before.
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
