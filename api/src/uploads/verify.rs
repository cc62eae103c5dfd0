//! Puts the parts of an upload together and reads the object back: what the storage returns is what it holds.

use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::{TERM, Uploads, listed, place, plan};
use crate::db::uploads::{self, EndReason, Finding, Upload};
use crate::domain::upload;
use crate::storage::StorageError;

/// What was found out.
enum Outcome {
    Verified,
    Incomplete,
    Mismatch { size: u64, sha256: String },
    Lost,
}

impl Uploads {
    /// Verifies `upload`, which is ours as long as `lease` is renewed, and writes down what came of it.
    pub(super) async fn verify(self, upload: Upload, lease: String, _slot: OwnedSemaphorePermit) {
        let begun = Instant::now();
        let outcome = tokio::select! {
            outcome = self.look(&upload) => outcome,
            () = self.hold(&upload, &lease) => {
                tracing::info!(upload.id, "a verification was taken over or ended by somebody else");
                return;
            }
        };
        let finding = match &outcome {
            Ok(Outcome::Verified) => {
                let milliseconds = begun.elapsed().as_millis();
                tracing::info!(
                    upload.id,
                    upload.object_key,
                    upload.size_bytes,
                    milliseconds,
                    "verified an upload"
                );
                Finding::Verified
            }
            Ok(Outcome::Incomplete) => Finding::Incomplete,
            Ok(Outcome::Mismatch { size, sha256 }) => {
                let (expected_size, expected) = (upload.size_bytes, &upload.sha256);
                tracing::warn!(
                    upload.id,
                    upload.object_key,
                    "an object has {size} bytes with the SHA-256 {sha256} and must have {expected_size} with {expected}; \
                     it is removed, and uploaded again"
                );
                Finding::Over(EndReason::Mismatch)
            }
            Ok(Outcome::Lost) => {
                tracing::warn!(upload.id, upload.object_key, "an object that was put together is not there");
                Finding::Over(EndReason::Lost)
            }
            Err(error) => {
                let (variable, advice) = error.advice();
                tracing::warn!(upload.id, "an upload cannot be verified: {error}; {variable}: {advice}");
                Finding::Trouble("The storage did not let the object be verified; the API's log says why.")
            }
        };
        self.settle(&upload, &lease, finding).await;
    }

    async fn settle(&self, upload: &Upload, lease: &str, finding: Finding<'_>) {
        match uploads::settle(&self.db, &upload.id, lease, finding, TERM).await {
            Ok(true) if matches!(finding, Finding::Over(_)) => self.try_remove(upload).await,
            Ok(true) => {}
            // It has ended meanwhile, and what was removed then may have been put together since.
            Ok(false) => self.try_remove(upload).await,
            // The lease runs out, and the next call tries again.
            Err(error) => {
                tracing::warn!(upload.id, "the end of a verification cannot be written down: {error}");
            }
        }
    }

    /// Renews the lease until it is lost.
    async fn hold(&self, upload: &Upload, lease: &str) {
        loop {
            sleep(TERM / 3).await;
            // A database that does not answer may do so before the lease runs out.
            if let Ok(false) = uploads::renew(&self.db, &upload.id, lease, TERM).await {
                self.try_remove(upload).await;
                return;
            }
        }
    }

    async fn look(&self, upload: &Upload) -> Result<Outcome, StorageError> {
        if !self.put_together(upload).await? {
            return Ok(Outcome::Incomplete);
        }
        let contents = match self.storage.read(place(upload)).await {
            Err(error) if error.is_code("NoSuchKey") => return Ok(Outcome::Lost),
            result => result?,
        };
        if contents.size == upload.size_bytes && contents.sha256 == upload.sha256 {
            Ok(Outcome::Verified)
        } else {
            Ok(Outcome::Mismatch { size: contents.size, sha256: contents.sha256 })
        }
    }

    /// False when parts are missing. An upload that the storage does not know any more was put together by somebody who died
    /// afterwards, or is lost, which reading shows.
    async fn put_together(&self, upload: &Upload) -> Result<bool, StorageError> {
        let parts = match self.storage.parts(place(upload), &upload.storage_id).await {
            Err(error) if error.is_code("NoSuchUpload") => return Ok(true),
            result => result?,
        };
        if upload::missing(plan(upload), upload.size_bytes, &listed(&parts)).is_some() {
            return Ok(false);
        }
        let ours = parts.iter().filter(|part| u32::from(part.number) <= upload.part_count);
        let tags: Vec<_> = ours.map(|part| part.e_tag.as_str()).collect();
        match self.storage.complete(place(upload), &upload.storage_id, &tags).await {
            Err(error) if error.is_code("NoSuchUpload") => Ok(true),
            result => result.map(|()| true),
        }
    }
}
