//! Removes from the storage what nobody wants any more: uploads that were given up, and objects that were not what they were to be.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::{UploadError, Uploads};
use crate::db::uploads;
use crate::storage::StorageError;

/// How often it is looked for something to remove.
const PERIOD: Duration = Duration::from_hours(1);

/// How many uploads are taken at a time, and for how long: others leave them alone meanwhile.
const BATCH: i64 = 50;
const TERM: Duration = Duration::from_mins(10);

/// What a clean-up did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CleanedUp {
    /// Uploads that nobody asked about for too long.
    pub abandoned: u64,
    /// Uploads of which nothing is left in the storage now.
    pub removed: u64,
    /// Uploads of which something may still be there. A later clean-up tries again.
    pub failed: u64,
}

impl Uploads {
    /// Cleans up for ever, every hour. However many replicas do so, each upload is ended and removed by one of them.
    pub async fn keep_clean(self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match self.clean_up().await {
                Ok(CleanedUp { abandoned: 0, removed: 0, failed: 0 }) => {}
                Ok(CleanedUp { abandoned, removed, failed }) => {
                    tracing::info!(
                        abandoned,
                        removed,
                        failed,
                        "gave up uploads, and removed what such had left in the storage"
                    );
                }
                Err(error) => {
                    tracing::warn!("what uploads have left in the storage is looked for later: {error}");
                }
            }
        }
    }

    /// Cleans up once. A storage that does not answer is left alone until the next time.
    pub async fn clean_up(&self) -> Result<CleanedUp, UploadError> {
        let age = self.storage.settings().abandoned_after;
        let abandoned = uploads::end_abandoned(&self.db, age).await?;
        let mut cleaned = CleanedUp { abandoned, ..CleanedUp::default() };
        loop {
            let batch = uploads::take_debris(&self.db, BATCH, TERM).await?;
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
