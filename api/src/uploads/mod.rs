//! Uploads of recording files into the object storage.
//!
//! The database knows which uploads there are and how far each is; the storage alone knows which parts it has. So whoever
//! dies in the middle, agent or API, costs nothing but a question to the storage.
//!
//! - [`begin`]: an upload begins, or goes on.
//! - [`parts`]: addresses for parts, and which ones are there.
//! - [`complete`]: the parts are put together; [`verify`] reads the object back before anybody is told that it is there.
//! - [`clean_up`]: what nobody wants any more is removed from the storage.

use std::sync::Arc;
use std::time::Duration;

use contract::upload::StoredPart;
use sqlx::PgPool;
use tokio::sync::Semaphore;

use crate::db::uploads::{self, EndReason, State, Upload};
use crate::domain::upload::Plan;
use crate::storage::{Part, Place, Storage, StorageError};

pub mod begin;
pub mod clean_up;
pub mod complete;
pub mod parts;
mod verify;

/// How many objects one process reads back at a time. Hashing one keeps a core busy as long as the network does.
const VERIFICATIONS: usize = 2;

/// How long a verification that nobody renews is somebody's: after this time a process that died does not count.
const TERM: Duration = Duration::from_secs(30);

/// The way to all that is done with uploads.
#[derive(Debug, Clone)]
pub struct Uploads {
    db: PgPool,
    storage: Arc<Storage>,
    slots: Arc<Semaphore>,
}

/// Why something was not done with an upload.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// There is no such upload, or it has ended.
    #[error("there is no such upload")]
    NotFound,
    /// Parts are missing or have a wrong size.
    #[error("{0}")]
    Incomplete(String),
    /// The storage held something else than the host.
    #[error("{0}")]
    Mismatch(String),
    /// The upload is verified, or about to be.
    #[error("{0}")]
    Complete(&'static str),
    /// A part that the upload does not have.
    #[error("the upload has the parts 1 to {0}")]
    NoSuchPart(u32),
    /// The verification came to no end, for this reason; the next call begins another one.
    #[error("{0}")]
    Trouble(String),
    /// The storage.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Uploads {
    /// Uploads into `storage`, kept track of in `db`.
    pub fn new(db: PgPool, storage: Arc<Storage>) -> Self {
        Self { db, storage, slots: Arc::new(Semaphore::new(VERIFICATIONS)) }
    }

    /// The storage.
    pub fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The parts of an upload that the storage has. One that it does not know any more has ended, unless somebody has begun meanwhile to
    /// verify it, and has put its parts together: `None`.
    async fn stored(&self, upload: &Upload) -> Result<Option<Vec<Part>>, UploadError> {
        match self.storage.parts(place(upload), &upload.storage_id).await {
            Err(error) if upload.state == State::Open && error.is_code("NoSuchUpload") => {
                if !uploads::end_open(&self.db, &upload.id, EndReason::Lost).await? {
                    return Ok(None);
                }
                tracing::warn!(upload.id, "the storage does not know an upload any more; it begins anew");
                Err(UploadError::NotFound)
            }
            result => Ok(Some(result?)),
        }
    }

    /// Removes what an upload has left in the storage, and notes that it did. What the database knows counts, not what the
    /// caller remembers: somebody else may have verified the upload meanwhile, and then its object is not to be touched.
    async fn remove(&self, upload: &Upload) -> Result<(), UploadError> {
        if uploads::is_unwanted(&self.db, &upload.id).await? {
            let emptied = match self.storage.abort(place(upload), &upload.storage_id).await {
                Ok(()) => self.storage.remove(place(upload)).await,
                error => error,
            };
            // A bucket that is gone holds nothing.
            if let Err(error) = emptied
                && !error.is_code("NoSuchBucket")
            {
                return Err(error.into());
            }
            uploads::note_removed(&self.db, &upload.id).await?;
        }
        Ok(())
    }

    /// The same, where the periodic clean-up makes up for a failure.
    async fn try_remove(&self, upload: &Upload) {
        if let Err(error) = self.remove(upload).await {
            tracing::warn!(upload.id, "what an upload has left in the storage is removed later: {error}");
        }
    }
}

fn place(upload: &Upload) -> Place<'_> {
    Place { bucket: &upload.bucket, key: &upload.object_key }
}

fn plan(upload: &Upload) -> Plan {
    Plan { part_size: upload.part_size_bytes, parts: upload.part_count }
}

fn listed(parts: &[Part]) -> Vec<StoredPart> {
    parts.iter().map(|part| StoredPart { number: part.number.into(), size_bytes: part.size }).collect()
}
