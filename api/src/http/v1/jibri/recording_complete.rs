//! `POST /v1/jibri/recording-complete`: a recording file is finished.

use axum::{Json, extract};
use contract::recording;
use serde::Serialize;

use crate::domain::acceptance::accept;
use crate::domain::recording::File;
use crate::http::problem::ApiError;
use crate::http::signed::Signed;
use crate::http::v1::jitsi::schema::JibriRecordingEvent;
use crate::http::{State, invalid_event, store_event};

/// The members that the existing API answers with.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = JibriRecordingReply)]
pub(super) struct Reply {
    status: &'static str,
    room_name: String,
    recording_file: String,
    message: &'static str,
}

/// Stores the notice as an event and the file as a recording of the meeting, in one transaction.
#[utoipa::path(
    post, path = "/v1/jibri/recording-complete", operation_id = "v1_jibri_recording_complete",
    request_body = JibriRecordingEvent,
    responses((status = 200, body = Reply, description = "Successful Response"), (status = 404, description = "No meeting has this room name")),
    security(("jitsi" = [])),
)]
pub(super) async fn post(
    extract::State(state): extract::State<State>,
    signed: Signed,
) -> Result<Json<Reply>, ApiError> {
    let body = signed.into_json()?;
    let notice = recording::parse(&body).map_err(|error| invalid_event::refusal(&error, &body))?;
    let notice = accept(notice).map_err(invalid_event::of_data)?;
    let file = File::of(&notice).ok_or_else(|| {
        invalid_event::of_data("`recording_file` and `recording_status` must not be empty".to_owned())
    })?;
    let room_name = notice.room.to_string();
    store_event::store(&state, notice, body.len()).await?;
    Ok(Json(Reply { status: "ok", room_name, recording_file: file.file, message: "Recording stored" }))
}
