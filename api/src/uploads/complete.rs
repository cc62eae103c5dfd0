//! All parts are sent: the upload is verified, or not wanted any more.

use std::sync::Arc;

use contract::upload::CompleteRequest;
use uuid::Uuid;

use super::{TERM, UploadError, Uploads, listed, plan};
use crate::db::uploads::{self, EndReason, State, Upload};
use crate::domain::upload;

/// How far an upload is whose parts are all sent.
#[derive(Debug)]
pub enum Completion {
    /// It is being read back, here or elsewhere.
    Verifying,
    /// The storage holds the file.
    Verified(Upload),
}

impl Uploads {
    /// Sees to it that the upload gets verified: by whoever is at it, else here, in the background. A process that died
    /// in the middle is made up for by the next call.
    pub async fn complete(&self, id: &str, request: &CompleteRequest) -> Result<Completion, UploadError> {
        let upload = uploads::find(&self.db, id).await?.ok_or(UploadError::NotFound)?;
        let is_same = upload.size_bytes == request.size_bytes && upload.sha256 == request.sha256.as_str();
        match upload.state {
            State::Ended(EndReason::Mismatch) => return Err(mismatch(&upload)),
            State::Ended(_) => return Err(UploadError::NotFound),
            _ if !is_same => return Err(self.end_changed(&upload).await?),
            State::Verified => return Ok(Completion::Verified(upload)),
            State::Open => self.check(&upload).await?,
            State::Verifying => {}
        }
        // Without a free slot it stays as it is until the next call.
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else { return Ok(Completion::Verifying) };
        let lease = Uuid::new_v4().simple().to_string();
        let trouble = upload.trouble.clone();
        if !uploads::lease(&self.db, id, &lease, TERM).await? {
            return Ok(Completion::Verifying);
        }
        tokio::spawn(self.clone().verify(upload, lease, slot));
        match trouble {
            Some(trouble) => Err(UploadError::Trouble(trouble)),
            None => Ok(Completion::Verifying),
        }
    }

    /// Ends an upload that the host does not want any more. One that has ended already is no error.
    pub async fn abort(&self, id: &str) -> Result<(), UploadError> {
        let upload = uploads::find(&self.db, id).await?.ok_or(UploadError::NotFound)?;
        if uploads::end_unverified(&self.db, id, EndReason::Aborted).await? {
            tracing::info!(upload.id, "an upload was aborted by its host");
            self.try_remove(&upload).await;
            return Ok(());
        }
        let now = uploads::find(&self.db, id).await?.ok_or(UploadError::NotFound)?;
        match now.state {
            State::Verified => Err(UploadError::Complete("The upload is verified; its object is kept.")),
            _ => Ok(()),
        }
    }

    async fn check(&self, upload: &Upload) -> Result<(), UploadError> {
        let stored = listed(&self.stored(upload).await?);
        match upload::missing(plan(upload), upload.size_bytes, &stored) {
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

fn mismatch(upload: &Upload) -> UploadError {
    let (size, sum) = (upload.size_bytes, &upload.sha256);
    UploadError::Mismatch(format!(
        "The stored object was not the file of {size} bytes with the SHA-256 {sum}, and was removed; begin the upload again."
    ))
}
