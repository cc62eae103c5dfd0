//! All parts are sent: the upload is verified, or not wanted any more.

use std::sync::Arc;
use std::time::Duration;

use contract::upload::CompleteRequest;
use tokio::time::timeout;
use uuid::Uuid;

use super::{TERM, UploadError, Uploads, listed, plan};
use crate::db::uploads::{self, EndReason, State, Upload};
use crate::domain::upload;

/// How far an upload is whose parts are all sent.
#[derive(Debug)]
pub enum Completion {
    /// It is to be read back, and others are before it.
    Waiting,
    /// It is being read back, here or elsewhere.
    Verifying,
    /// The storage holds the file.
    Verified(Upload),
}

/// How long a request waits for the verification that it has begun. A small object is read back in less, and its host need not ask
/// again.
const LINGER: Duration = Duration::from_secs(1);

impl Uploads {
    /// Sees to it that the upload gets verified: by whoever is at it, else here, in the background. A process that died
    /// in the middle is made up for by the next call.
    pub async fn complete(&self, id: &str, request: &CompleteRequest) -> Result<Completion, UploadError> {
        let upload = self.find(id).await?;
        let is_same = upload.size_bytes == request.size_bytes && upload.sha256 == request.sha256.as_str();
        match upload.state {
            State::Ended(_) | State::Verified if is_same => return progress(upload),
            State::Ended(_) => return Err(UploadError::NotFound),
            _ if !is_same => return Err(self.end_changed(&upload).await?),
            _ => {}
        }
        // Without a free slot it stays as it is until the next call, which is not to cost the storage anything.
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return if upload.state == State::Open { Ok(Completion::Waiting) } else { progress(upload) };
        };
        if upload.state == State::Open {
            self.check(&upload).await?;
        }
        let lease = Uuid::new_v4().simple().to_string();
        if !uploads::lease(&self.db, id, &lease, TERM).await? {
            return progress(self.find(id).await?);
        }
        let verification = tokio::spawn(self.clone().verify(upload, lease, slot));
        match timeout(LINGER, verification).await {
            Ok(_) => progress(self.find(id).await?),
            Err(_) => Ok(Completion::Verifying),
        }
    }

    /// Ends an upload that the host does not want any more. One that has ended already is no error.
    pub async fn abort(&self, id: &str) -> Result<(), UploadError> {
        let upload = self.find(id).await?;
        if uploads::end_unverified(&self.db, id, EndReason::Aborted).await? {
            tracing::info!(upload.id, "an upload was aborted by its host");
            self.try_remove(&upload).await;
            return Ok(());
        }
        match self.find(id).await?.state {
            State::Verified => Err(UploadError::Complete("The upload is verified; its object is kept.")),
            _ => Ok(()),
        }
    }

    async fn find(&self, id: &str) -> Result<Upload, UploadError> {
        uploads::find(&self.db, id).await?.ok_or(UploadError::NotFound)
    }

    /// [`UploadError::Incomplete`] where the storage lacks a part.
    pub(super) async fn check(&self, upload: &Upload) -> Result<(), UploadError> {
        let Some(stored) = self.stored(upload).await? else { return Ok(()) };
        match upload::missing(plan(upload), upload.size_bytes, &listed(&stored)) {
            Some(missing) => Err(UploadError::Incomplete(missing)),
            None => Ok(()),
        }
    }

    /// The file has changed since the upload began, so what was sent is of no use.
    async fn end_changed(&self, upload: &Upload) -> Result<UploadError, UploadError> {
        if uploads::end_unverified(&self.db, &upload.id, EndReason::Mismatch).await? {
            self.try_remove(upload).await;
        }
        Ok(UploadError::Mismatch(
            "Size or checksum are not those that the upload began with; begin the upload again.".to_owned(),
        ))
    }
}

/// How far `upload` is, for those who want it verified.
fn progress(upload: Upload) -> Result<Completion, UploadError> {
    match upload.state {
        State::Verified => Ok(Completion::Verified(upload)),
        State::Verifying | State::Open => match upload.trouble {
            Some(trouble) => Err(UploadError::Trouble(trouble)),
            None => Ok(Completion::Verifying),
        },
        State::Ended(EndReason::Mismatch) => Err(UploadError::Mismatch(format!(
            "The stored object was not the file of {} bytes with the SHA-256 {}, and was removed; begin the upload again.",
            upload.size_bytes, upload.sha256
        ))),
        State::Ended(_) => Err(UploadError::NotFound),
    }
}
