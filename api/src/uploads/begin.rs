//! An upload begins, or goes on.

use contract::upload::{UploadId, UploadRequest};
use uuid::Uuid;

use super::{UploadError, Uploads, place};
use crate::db::uploads::{self, EndReason, NewUpload, State, Upload};
use crate::domain::upload::{Plan, media_type, object_key};

impl Uploads {
    /// The upload of the recording that `request` names: the one that there is, or a new one if there is none or the file is
    /// another by now. However many ask at once, they get the same.
    pub async fn begin(&self, meeting_id: &str, request: &UploadRequest) -> Result<Upload, UploadError> {
        loop {
            if let Some(live) = uploads::find_live(&self.db, request.id.as_str()).await? {
                if self.is_current(&live, request) {
                    return Ok(live);
                }
                if uploads::end(&self.db, &live.id, EndReason::Replaced).await? {
                    self.try_remove(&live).await;
                }
            }
            let upload = self.prepare(request).await?;
            let new = NewUpload {
                upload: &upload,
                meeting_id,
                session_id: &request.session_id,
                host: &request.host,
                file_name: &request.file_name,
                finished_at: request.finished_at,
            };
            match uploads::insert(&self.db, &new).await {
                Ok(true) => {
                    tracing::info!(upload.id, upload.recording_id, upload.object_key, "began an upload");
                    return Ok(upload);
                }
                // Somebody else was quicker; theirs is found next.
                Ok(false) => self.forget(&upload).await,
                Err(error) => {
                    self.forget(&upload).await;
                    return Err(error.into());
                }
            }
        }
    }

    /// Whether an upload is of the file that the host has now, and goes where files go now.
    fn is_current(&self, upload: &Upload, request: &UploadRequest) -> bool {
        upload.size_bytes == request.size_bytes
            && upload.sha256 == request.sha256.as_str()
            && (upload.state == State::Verified || upload.bucket == self.storage.settings().bucket)
    }

    /// A new upload that only the storage knows of yet.
    async fn prepare(&self, request: &UploadRequest) -> Result<Upload, UploadError> {
        let settings = self.storage.settings();
        let id = UploadId::parse(format!("upl_{}", Uuid::new_v4().simple()))
            .expect("hexadecimal digits are allowed");
        let (room, file) = (request.room_name.as_str(), &request.file_name);
        let plan = Plan::of(request.size_bytes, settings.part_bytes);
        let mut upload = Upload {
            object_key: object_key(&settings.prefix, room, &request.session_id, &id, file),
            id: id.into(),
            recording_id: request.id.to_string(),
            size_bytes: request.size_bytes,
            sha256: request.sha256.to_string(),
            bucket: settings.bucket.clone(),
            storage_id: String::new(),
            part_size_bytes: plan.part_size,
            part_count: plan.parts,
            state: State::Open,
            trouble: None,
        };
        upload.storage_id = self.storage.begin(place(&upload), media_type(file)).await?;
        Ok(upload)
    }

    /// Nobody will ever ask for this one.
    async fn forget(&self, upload: &Upload) {
        if let Err(error) = self.storage.abort(place(upload), &upload.storage_id).await {
            tracing::warn!(upload.object_key, "an empty upload stays in the storage: {error}");
        }
    }
}
