//! `POST /v1/recordings/uploads`: whether a file is uploaded, and where to.

use axum::{Json, extract};
use contract::problem::ProblemCode;
use contract::upload::{
    KeepReason, MAX_TEXT_BYTES, Upload, UploadId, UploadReply, UploadRequest, UploadState,
};
use serde_json::json;

use super::configured;
use crate::db::uploads::{self, State as Progress};
use crate::domain::upload::{Decision, MAX_BYTES, decide};
use crate::http::State;
use crate::http::problem::ApiError;
use crate::http::signed::Dated;
use crate::http::validation::Invalid;
use crate::receipts::draft;
use crate::uploads::UploadError;

/// Answers with the recording's upload, which begins if there is none.
#[utoipa::path(
    post, path = "/v1/recordings/uploads", operation_id = "v1_recordings_begin_upload",
    request_body = UploadRequest,
    responses((status = 200, body = UploadReply, description = "Successful Response"), (status = 404, description = "No meeting has this room name")),
    security(("jitsi" = [])),
)]
pub(super) async fn post(
    extract::State(state): extract::State<State>,
    Dated { signed, .. }: Dated,
) -> Result<Json<UploadReply>, ApiError> {
    let request: UploadRequest = signed.parse()?;
    check(&request)?;
    draft::speak_of(request.room_name.as_str());
    let meeting = uploads::find_meeting(&state.db, request.room_name.as_str()).await?;
    let recording_type = meeting.as_ref().map(|(_, recording_type)| *recording_type);
    match (decide(recording_type, state.uploads.is_some()), meeting) {
        (Decision::Keep(reason), _) => Ok(Json(keep(reason))),
        (Decision::Upload, Some((meeting_id, _))) => {
            let upload = configured(&state)?.begin(&meeting_id, &request).await?;
            Ok(Json(UploadReply::Upload(body(upload)?)))
        }
        (Decision::Upload | Decision::MeetingUnknown, _) => {
            Err(ApiError::titled(ProblemCode::MeetingNotFound))
        }
    }
}

fn check(request: &UploadRequest) -> Result<(), Vec<Invalid>> {
    let mut findings = Vec::new();
    for (member, text) in
        [("session_id", &request.session_id), ("file_name", &request.file_name), ("host", &request.host)]
    {
        if text.is_empty() || text.len() > MAX_TEXT_BYTES || text.contains('\0') {
            let msg = format!("must have 1 to {MAX_TEXT_BYTES} bytes and no character U+0000");
            findings.push(Invalid::value(member, json!(text), msg));
        }
    }
    if request.size_bytes > MAX_BYTES {
        let msg = format!("a file of more than {MAX_BYTES} bytes cannot be stored as one object");
        findings.push(Invalid::value("size_bytes", json!(request.size_bytes), msg));
    }
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

fn keep(reason: KeepReason) -> UploadReply {
    let message = match reason {
        KeepReason::RecordingTypeLocal => {
            "The meeting's recordings stay on the host: its room has the recording type local."
        }
        KeepReason::RecordingTypeNone => {
            "The meeting was not to be recorded: its room has the recording type none. The file stays on the host."
        }
        KeepReason::StorageNotConfigured | KeepReason::Other => {
            "The API has no object storage, so the file stays on the host; to change that, its operator sets \
             RECORDING_STORAGE_BACKEND."
        }
    };
    UploadReply::Keep { reason, message: message.to_owned() }
}

fn body(upload: uploads::Upload) -> Result<Upload, ApiError> {
    let state = match upload.state {
        Progress::Open => UploadState::Open,
        Progress::Verifying => UploadState::Verifying,
        Progress::Verified => UploadState::Verified,
        Progress::Ended(_) => return Err(UploadError::NotFound.into()),
    };
    let upload_id = UploadId::parse(upload.id).map_err(|error| ApiError::internal(&error))?;
    Ok(Upload {
        upload_id,
        state,
        bucket: upload.bucket,
        object_key: upload.object_key,
        part_size_bytes: upload.part_size_bytes,
        part_count: upload.part_count,
    })
}
