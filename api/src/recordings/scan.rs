//! Looks through the buckets for what nobody has told of: notifications get lost, and so do objects.
//!
//! A scan goes through a bucket in the order of its keys, page by page, and writes down how far it came. So it may be cut short at any
//! time, and a large bucket takes several runs.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::seek;
use crate::db::bucket_scans::{self, Scan};
use crate::db::recordings::{self, Loss, Sight, Witness};
use crate::domain::recording_object::WherebyFile;
use crate::jobs::Summary;
use crate::state::State;
use crate::storage::reading::Extra;
use crate::storage::{Listing, Place, Storage, StorageError};

/// How long a run lasts, about. The next one goes on.
const BUDGET: Duration = Duration::from_mins(2);

/// What was seen so lately is not looked for: the list may be older.
const FRESH: time::Duration = time::Duration::minutes(1);

/// Why a run was cut short.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The storage, with the variable to look at and the next step.
    #[error("{error}; {variable}: {advice}")]
    Storage {
        /// What it said.
        error: StorageError,
        /// The variable.
        variable: &'static str,
        /// The step.
        advice: &'static str,
    },
    /// The bucket may not be listed, and need not be.
    #[error("the bucket may not be listed")]
    Unlisted,
    /// The database.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl ScanError {
    /// What `storage` said.
    pub(super) fn of(storage: &Storage, error: StorageError) -> Self {
        let (variable, advice) = storage.advice(&error);
        Self::Storage { error, variable, advice }
    }
}

/// What a run did.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Scanned {
    /// Recordings that nobody had told of.
    pub new: u64,
    /// Recordings that were missing, and are there.
    pub found_again: u64,
    /// Recordings that were to be there, and are not.
    pub missing: u64,
}

impl Scanned {
    fn add(&mut self, other: Self) {
        self.new += other.new;
        self.found_again += other.found_again;
        self.missing += other.missing;
    }
}

/// A run of the job, for the service that `state` belongs to.
pub async fn run_once(state: State) -> anyhow::Result<Summary> {
    let Some(storage) = &state.storage else { return Ok(Summary::nothing()) };
    let scanned = match scan(&state.db, storage, &buckets(&state), Instant::now() + BUDGET).await {
        Err(ScanError::Unlisted) => {
            return Ok(match seek::seek(&state.db, storage, &folder(&state)).await? {
                0 => Summary::nothing(),
                found => Summary::of(format!("found {found} recordings that were announced")),
            });
        }
        scanned => scanned?,
    };
    Ok(match scanned {
        Scanned { new: 0, found_again: 0, missing: 0 } => Summary::nothing(),
        Scanned { new, found_again, missing } => Summary::of(format!(
            "found {new} recordings that nobody had told of and {found_again} that were missing, and missed {missing}"
        )),
    })
}

/// The bucket of this service, and the one that Whereby records into.
fn buckets(state: &State) -> BTreeSet<String> {
    let own = state.config.storage.iter().map(|storage| storage.bucket.clone());
    let meetings = state.config.whereby.meetings.as_ref().ok();
    let whereby = meetings.and_then(|meetings| meetings.recordings.as_ref());
    let whereby = whereby.map(|recordings| recordings.bucket_alone().to_owned());
    own.chain(whereby).collect()
}

/// Where in its bucket Whereby records.
fn folder(state: &State) -> String {
    let meetings = state.config.whereby.meetings.as_ref().ok();
    let recordings = meetings.and_then(|meetings| meetings.recordings.as_ref());
    let folder = recordings.and_then(|recordings| recordings.bucket.split_once('/'));
    folder.map_or_else(String::new, |(_, folder)| format!("{folder}/"))
}

/// Goes through `buckets`, until `deadline` at least a page of each.
pub async fn scan(
    db: &PgPool,
    storage: &Storage,
    buckets: &BTreeSet<String>,
    deadline: Instant,
) -> Result<Scanned, ScanError> {
    let mut scanned = Scanned::default();
    let mut whole_since = Some(OffsetDateTime::now_utc());
    for bucket in buckets {
        let began_at = loop {
            let scan = bucket_scans::go_on(db, bucket).await?;
            let (page, is_last) = look(db, storage, bucket, &scan).await?;
            scanned.add(page);
            if is_last {
                break Some(scan.began_at);
            }
            if Instant::now() > deadline {
                break None;
            }
        };
        whole_since = whole_since.zip(began_at).map(|(earliest, began_at)| earliest.min(began_at));
    }
    if let Some(began_at) = whole_since {
        scanned.missing += bucket_scans::miss_announced(db, began_at).await?;
    }
    Ok(scanned)
}

/// Compares one page of a bucket with what is known, and writes down what differs and how far it came.
async fn look(
    db: &PgPool,
    storage: &Storage,
    bucket: &str,
    scan: &Scan,
) -> Result<(Scanned, bool), ScanError> {
    let now = OffsetDateTime::now_utc();
    let page = storage.list(bucket, &scan.after_key).await.map_err(|error| {
        if storage.does_without(Extra::List, &error) {
            ScanError::Unlisted
        } else {
            ScanError::of(storage, error)
        }
    })?;
    let until = page.objects.last().filter(|_| page.has_more).map(|object| object.key.clone());
    let expected =
        bucket_scans::list_expected(db, bucket, &scan.after_key, until.as_deref(), now - FRESH).await?;
    let listed: BTreeSet<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
    let (there, gone): (Vec<_>, Vec<_>) =
        expected.iter().partition(|expected| listed.contains(expected.object_key.as_str()));
    let again: Vec<_> = there.iter().filter(|e| !e.is_stored).map(|e| e.object_key.as_str()).collect();
    let mut losses = Vec::new();
    for expected in gone.iter().filter(|expected| expected.is_stored) {
        // It may have been written since the list was made.
        let there = storage.has(Place { bucket, key: &expected.object_key }).await;
        if !there.map_err(|error| ScanError::of(storage, error))? {
            losses.push(Loss { bucket: bucket.to_owned(), key: expected.object_key.clone(), at: now });
        }
    }
    let scanned = Scanned {
        new: recordings::found(db, &sights(bucket, &page, now), Witness::Scan).await?,
        found_again: bucket_scans::found_again(db, bucket, &again, now).await?,
        missing: recordings::missed(db, &losses).await?,
    };
    for loss in &losses {
        tracing::warn!(
            loss.bucket,
            loss.key,
            "a recording is not in the storage any more, and was not removed by this service"
        );
    }
    bucket_scans::note(db, bucket, until.as_deref()).await?;
    Ok((scanned, until.is_none()))
}

/// The recordings by Whereby in `page`.
fn sights(bucket: &str, page: &Listing, now: OffsetDateTime) -> Vec<Sight> {
    let sight = |object: &crate::storage::Object| {
        Some(Sight {
            file: WherebyFile::parse(&object.key)?,
            bucket: bucket.to_owned(),
            key: object.key.clone(),
            size_bytes: i64::try_from(object.size).ok(),
            written_at: object.modified_at.unwrap_or(now).min(now),
            seen_at: now,
        })
    };
    page.objects.iter().filter_map(sight).collect()
}
