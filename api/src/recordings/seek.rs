//! Looks for announced recordings one by one, where the bucket may not be listed: who may read an object may ask for it.

use sqlx::PgPool;
use time::OffsetDateTime;

use super::scan::ScanError;
use crate::db::bucket_scans;
use crate::db::recordings::{self, Sight, Witness};
use crate::domain::recording_object::WherebyFile;
use crate::storage::{Place, Storage};

/// Finds what Whereby has announced in `folder`, which is empty or ends with a slash; returns how many recordings that were.
pub async fn seek(db: &PgPool, storage: &Storage, folder: &str) -> Result<usize, ScanError> {
    let bucket = storage.settings().bucket.as_str();
    let mut sights = Vec::new();
    for name in bucket_scans::list_announced(db).await? {
        let Some(file) = WherebyFile::parse(&name) else { continue };
        let key = format!("{folder}{}", file.name);
        let now = OffsetDateTime::now_utc();
        match storage.has(Place { bucket, key: &key }).await {
            Ok(true) => sights.push(Sight {
                file,
                bucket: bucket.to_owned(),
                key,
                size_bytes: None,
                written_at: now,
                seen_at: now,
            }),
            Ok(false) => {}
            // So is answered what is not there, too.
            Err(error) if error.is_denied() => {}
            Err(error) => return Err(ScanError::of(storage, error)),
        }
    }
    recordings::found(db, &sights, Witness::Scan).await?;
    Ok(sights.len())
}
