//! Removes recordings that are not to be kept: those of meetings in which somebody did not agree to be recorded, and those that are too
//! old. Also gives recordings to meetings that were not known when they were found.
//!
//! The object goes first and the state after it: who dies in between removes an object that is not there, which is no error.

use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::scan::ScanError;
use crate::db::recordings::{self, Removable};
use crate::domain::recording_state::DeletedReason;
use crate::storage::reading::Extra;
use crate::storage::{Place, Storage, StorageError};

/// How long a run lasts, about. The next one goes on.
const BUDGET: Duration = Duration::from_mins(2);

/// How many recordings are looked up at a time.
const BATCH: i64 = 100;

/// What a run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct CleanedUp {
    /// Recordings that have their meeting now.
    pub adopted: u64,
    /// Recordings that were removed because somebody did not agree.
    pub denied: u64,
    /// Recordings that were removed because of their age.
    pub expired: u64,
    /// Recordings that the storage did not remove. A later run tries again.
    pub failed: u64,
}

impl std::fmt::Display for CleanedUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { adopted, denied, expired, failed } = self;
        if adopted + denied + expired + failed == 0 {
            return Ok(());
        }
        write!(
            f,
            "gave {adopted} recordings to their meetings, removed {denied} that somebody had not agreed to and {expired} that were \
             too old, and failed to remove {failed}"
        )
    }
}

/// Cleans up as things are at `now`. Without a storage there is nothing that could be removed.
pub async fn clean_up(
    db: &PgPool,
    storage: Option<&Storage>,
    now: OffsetDateTime,
) -> Result<CleanedUp, ScanError> {
    let mut cleaned = CleanedUp { adopted: recordings::adopt(db).await?, ..CleanedUp::default() };
    recordings::drop_strays(db).await?;
    let Some(storage) = storage else { return Ok(cleaned) };
    let mut removal =
        Removal { db, storage, deadline: Instant::now() + BUDGET, failed: 0, is_refused: false };
    cleaned.denied = removal.denied().await?;
    if let Some(retention) = storage.settings().retention {
        cleaned.expired = removal.expired(now - retention).await?;
    }
    cleaned.failed = removal.failed;
    Ok(cleaned)
}

struct Removal<'a> {
    db: &'a PgPool,
    storage: &'a Storage,
    deadline: Instant,
    failed: u64,
    /// The key may remove nothing, and need not.
    is_refused: bool,
}

impl Removal<'_> {
    fn goes_on(&self) -> bool {
        !self.is_refused && Instant::now() < self.deadline
    }

    async fn denied(&mut self) -> Result<u64, ScanError> {
        let (mut removed, mut after) = (0, String::new());
        while self.goes_on() {
            let batch = recordings::list_denied(self.db, &after, BATCH).await?;
            let Some(last) = batch.last() else { break };
            after.clone_from(&last.id);
            removed += self.remove_all(&batch, DeletedReason::Consent).await?;
        }
        Ok(removed)
    }

    async fn expired(&mut self, before: OffsetDateTime) -> Result<u64, ScanError> {
        let (mut removed, mut after) = (0, (OffsetDateTime::UNIX_EPOCH, String::new()));
        while self.goes_on() {
            let batch = recordings::list_expired(self.db, before, (after.0, &after.1), BATCH).await?;
            let Some(last) = batch.last() else { break };
            after = (last.completed_at, last.id.clone());
            removed += self.remove_all(&batch, DeletedReason::Retention).await?;
        }
        Ok(removed)
    }

    /// One that cannot be removed keeps no other from it, unless the storage does not answer at all.
    async fn remove_all(&mut self, batch: &[Removable], reason: DeletedReason) -> Result<u64, ScanError> {
        let mut removed = 0;
        for recording in batch {
            match self.remove(recording).await {
                Ok(()) => {
                    recordings::note_deleted(self.db, &recording.id, reason).await?;
                    tracing::info!(
                        recording.id,
                        reason = reason.as_str(),
                        "removed a recording from the storage"
                    );
                    removed += 1;
                }
                Err(error @ StorageError::Silent(_)) => return Err(ScanError::of(self.storage, error)),
                Err(error) if self.storage.does_without(Extra::Remove, &error) => {
                    self.is_refused = true;
                    break;
                }
                Err(error) => {
                    if self.failed == 0 {
                        let (variable, advice) = self.storage.advice(&error);
                        tracing::warn!(
                            recording.id,
                            "a recording that is not to be kept stays: {error}; {variable}: {advice}"
                        );
                    }
                    self.failed += 1;
                }
            }
        }
        Ok(removed)
    }

    async fn remove(&self, recording: &Removable) -> Result<(), StorageError> {
        for (bucket, key) in recording.buckets.iter().zip(&recording.keys) {
            match self.storage.remove(Place { bucket, key }).await {
                // A bucket that is gone holds nothing.
                Err(error) if error.is_code("NoSuchBucket") => {}
                result => result?,
            }
        }
        Ok(())
    }
}
