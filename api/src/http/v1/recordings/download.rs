//! `GET /v1/recordings/{recording_id}/download`: an address for a recording's file.

use axum::extract;
use contract::problem::ProblemCode;
use serde::Serialize;
use time::OffsetDateTime;

use super::body::Downloads;
use crate::db::recordings;
use crate::domain::recording::File;
use crate::domain::recording_state::State as Whereabouts;
use crate::http::State;
use crate::http::caller::User;
use crate::http::date_time::DateTime;
use crate::http::path_text::PathText;
use crate::http::private::Private;
use crate::http::problem::ApiError;

/// Where a file can be fetched from.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = RecordingDownload)]
pub(super) struct DownloadBody {
    /// Leads to the file, whoever has it.
    url: String,
    /// Until when it does.
    expires_at: DateTime,
}

/// Answers with an address for a recording of a meeting in a room that is the caller's own or shared. A page can be sent there at once;
/// a redirection would carry the caller's token to the storage, which refuses two credentials.
#[utoipa::path(
    get, path = "/v1/recordings/{recording_id}/download", operation_id = "v1_recordings_download",
    params(("recording_id" = String, Path, description = "The recording's id")),
    responses((status = 200, body = DownloadBody, description = "Successful Response"),
        (status = 403, description = "The meeting's room is not shared, and not the caller's"),
        (status = 410, description = "The recording was removed, or is withheld because somebody did not agree to be recorded")),
    security(("bearer" = [])),
)]
pub(super) async fn download(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(id): PathText,
) -> Result<Private<DownloadBody>, ApiError> {
    let found = recordings::find(&state.db, &id).await?;
    let (file, tenure) = found.ok_or_else(|| ApiError::titled(ProblemCode::RecordingNotFound))?;
    if !tenure.is_some_and(|tenure| tenure.admits(&caller.user_id)) {
        return Err(ApiError::new(ProblemCode::Forbidden, "Recording access denied"));
    }
    if let Some((code, detail)) = obstacle(&file) {
        return Err(ApiError::new(code, detail));
    }
    if state.storage.is_none() {
        let detail = "This server has no object storage; its operator must set RECORDING_STORAGE_BACKEND.";
        return Err(ApiError::new(ProblemCode::StorageNotConfigured, detail));
    }
    let link = Downloads::of(&state, OffsetDateTime::now_utc()).link(&file);
    let (url, expires_at) = link.ok_or_else(|| {
        ApiError::new(
            ProblemCode::RecordingNotStored,
            "The recording is in a bucket that has no address on this server.",
        )
    })?;
    Ok(Private(DownloadBody { url, expires_at }))
}

/// Why there is nothing to download; `None` when there is.
fn obstacle(file: &File) -> Option<(ProblemCode, &'static str)> {
    Some(match file.state {
        Whereabouts::Deleted => {
            (ProblemCode::RecordingDeleted, "The recording was removed from the storage.")
        }
        _ if file.is_withheld => (
            ProblemCode::RecordingWithheld,
            "Somebody in the meeting did not agree to be recorded, so the recording is given to nobody.",
        ),
        Whereabouts::Stored => return None,
        Whereabouts::OnHost => (
            ProblemCode::RecordingNotStored,
            "The recording is on the host that made it, and not in the storage.",
        ),
        Whereabouts::Announced => (
            ProblemCode::RecordingNotStored,
            "The recording was announced, and has not been seen in the storage yet; try again shortly.",
        ),
        Whereabouts::Missing => {
            (ProblemCode::RecordingNotStored, "The recording is not in the storage, where it was to be.")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recording::File;

    fn file(state: Whereabouts, is_withheld: bool) -> File {
        let notice = br#"{"id":"r","room_name":"r","recording_file":"f","recording_status":"completed","timestamp":1}"#;
        let file = File::of(&contract::recording::parse(notice).unwrap()).unwrap();
        File { state, is_withheld, ..file }
    }

    #[test]
    fn what_cannot_be_downloaded_is_refused_with_its_reason() {
        for (state, is_withheld, expected) in [
            (Whereabouts::Stored, false, None),
            (Whereabouts::Stored, true, Some(ProblemCode::RecordingWithheld)),
            (Whereabouts::OnHost, true, Some(ProblemCode::RecordingWithheld)),
            (Whereabouts::OnHost, false, Some(ProblemCode::RecordingNotStored)),
            (Whereabouts::Announced, false, Some(ProblemCode::RecordingNotStored)),
            (Whereabouts::Missing, false, Some(ProblemCode::RecordingNotStored)),
            (Whereabouts::Deleted, true, Some(ProblemCode::RecordingDeleted)),
        ] {
            let file = file(state, is_withheld);
            assert_eq!(obstacle(&file).map(|(code, _)| code), expected, "{state:?} {is_withheld}");
            assert_eq!(file.is_available(), expected.is_none());
        }
    }
}
