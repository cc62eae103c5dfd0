//! Removes from the storage what nobody wants any more: uploads that were given up, and objects that were not what they were to be.
//! What is all there is verified and kept, whether anybody asks for it or not.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::{TERM, UploadError, Uploads};
use crate::db::uploads::{self, State, Upload};
use crate::storage::StorageError;

/// How many uploads are taken at a time, and for how long: others leave them alone meanwhile.
const BATCH: i64 = 50;
const REMOVAL_TERM: Duration = Duration::from_mins(10);

/// How many abandoned uploads are looked at in one clean-up, at most.
const ABANDONED: i64 = 500;

/// What a clean-up did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CleanedUp {
    /// Uploads that nobody asked about for too long, and of which parts were missing.
    pub abandoned: u64,
    /// Uploads of which nothing is left in the storage now.
    pub removed: u64,
    /// Uploads of which something may still be there. A later clean-up tries again.
    pub failed: u64,
}

impl std::fmt::Display for CleanedUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { abandoned, removed, failed } = self;
        if abandoned + removed + failed == 0 {
            return Ok(());
        }
        write!(
            f,
            "gave up {abandoned} uploads; removed what {removed} had left in the storage, {failed} are left"
        )
    }
}

impl Uploads {
    /// Ends uploads that nobody asked about for too long; returns how many. One whose parts are all there is verified instead: its host
    /// may be gone for good, and then nobody else has the file.
    async fn give_up(&self) -> Result<u64, UploadError> {
        let age = self.storage.settings().abandoned_after;
        let mut ended = 0;
        for upload in uploads::find_abandoned(&self.db, age, ABANDONED).await? {
            let is_hopeless = match upload.state {
                State::Open => match self.check(&upload).await {
                    Ok(()) => false,
                    Err(UploadError::Incomplete(_)) => true,
                    Err(UploadError::NotFound) => continue,
                    Err(UploadError::Storage(error)) if error.is_code("NoSuchBucket") => true,
                    Err(UploadError::Storage(error)) => {
                        tracing::warn!(
                            upload.id,
                            "an upload that seems to be abandoned is looked at later: {error}"
                        );
                        break;
                    }
                    Err(error) => return Err(error),
                },
                _ => false,
            };
            if !is_hopeless {
                self.verify_for_nobody(upload).await?;
            } else if uploads::end_abandoned(&self.db, &upload.id, age).await? {
                ended += 1;
            }
        }
        Ok(ended)
    }

    /// Verifies an upload whose host does not ask for it, unless somebody else is at it.
    async fn verify_for_nobody(&self, upload: Upload) -> Result<(), UploadError> {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else { return Ok(()) };
        let lease = Uuid::new_v4().simple().to_string();
        if uploads::lease(&self.db, &upload.id, &lease, TERM).await? {
            tracing::info!(
                upload.id,
                upload.object_key,
                "verifying an upload that its host does not ask about any more"
            );
            self.clone().verify(upload, lease, slot).await;
        }
        Ok(())
    }

    /// Cleans up once. A storage that does not answer is left alone until the next time.
    pub async fn clean_up(&self) -> Result<CleanedUp, UploadError> {
        let mut cleaned = CleanedUp { abandoned: self.give_up().await?, ..CleanedUp::default() };
        loop {
            let batch = uploads::take_debris(&self.db, BATCH, REMOVAL_TERM).await?;
            if batch.is_empty() {
                return Ok(cleaned);
            }
            for upload in &batch {
                match self.remove(upload).await {
                    Ok(()) => cleaned.removed += 1,
                    Err(UploadError::Storage(error)) => {
                        if cleaned.failed == 0 {
                            let (variable, advice) = error.advice();
                            tracing::warn!(
                                upload.id,
                                "what an upload has left stays: {error}; {variable}: {advice}"
                            );
                        }
                        cleaned.failed += 1;
                        // The others would have to wait for it, too.
                        if matches!(error, StorageError::Silent(_)) {
                            return Ok(cleaned);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }
}
