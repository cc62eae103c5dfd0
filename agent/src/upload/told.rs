//! What the API is told of a recording: when its upload begins, and in the notice when it has ended.

use std::path::Path;

use contract::recording::RecordingComplete;
use contract::upload::{Checksum, MAX_TEXT_BYTES, UploadRequest};

use super::turn::Came;
use crate::outbox::model::{Kind, NewItem};
use crate::outbox::uploads::{Ending, Upload, UploadState};
use crate::recordings::notice;

/// What begins the upload. Everything it says stands in the notice.
pub(super) fn request(upload: &Upload) -> Result<UploadRequest, Came> {
    let notice = read(&upload.notice)?;
    let name =
        Path::new(&notice.recording_file).file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(UploadRequest {
        id: notice.id,
        room_name: notice.room_name,
        session_id: short(notice.session_id),
        file_name: short(name),
        size_bytes: upload.file.size,
        sha256: checksum(upload)?,
        host: short(notice.host),
        finished_at: Some(notice.timestamp),
    })
}

/// The checksum, as the API wants it.
pub(super) fn checksum(upload: &Upload) -> Result<Checksum, Came> {
    Checksum::parse(upload.sha256.clone()).map_err(|error| Came::Refused(error.to_string().into()))
}

/// How an upload ends: `note` is for the host's log, `told` goes with the notice.
pub(super) fn ending(
    upload: &Upload,
    state: UploadState,
    object: Option<(String, String)>,
    note: Option<String>,
    told: Option<String>,
) -> Result<Ending, Came> {
    let mut said = read(&upload.notice)?;
    (said.bucket, said.object_key) = object.clone().unzip();
    said.upload_note = told;
    let said = notice::acceptable(said);
    let notice = NewItem {
        id: said.id.clone(),
        room: upload.room.clone(),
        kind: Kind::Recording,
        body: notice::body(&said),
        offset: 0,
        parked: None,
    };
    let releases = state == UploadState::Verified;
    Ok(Ending { state, object, note, notice, releases })
}

/// The notice with another checksum.
pub(super) fn renewed(body: &[u8], sha256: &str) -> Result<Vec<u8>, Came> {
    let mut said = read(body)?;
    said.sha256 = Some(sha256.to_owned());
    Ok(notice::body(&said))
}

fn read(body: &[u8]) -> Result<RecordingComplete, Came> {
    serde_json::from_slice(body)
        .map_err(|error| Came::Refused(format!("its notice cannot be read: {error}").into()))
}

/// What fits the contract's limit; a name that was no UTF-8 may have become longer than a file's name can be.
fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MAX_TEXT_BYTES));
    text
}
