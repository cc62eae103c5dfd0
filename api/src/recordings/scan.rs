//! Looks through the buckets for what nobody has told of: notifications get lost, and so do objects.
//!
//! A scan goes through a bucket in the order of its keys, page by page, and writes down how far it came. So it may be cut short at any
//! time, and a large bucket takes several runs.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::try_join_all;
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::seek;
use crate::config::Config;
use crate::db::bucket_scans::{self, KeyRange, Scan};
use crate::db::recordings::{self, Loss, Sight, Witness};
use crate::domain::recording_object::WherebyFile;
use crate::storage::reading::Extra;
use crate::storage::{Listing, Place, Storage, StorageError};

/// How long a run lasts, about. The next one goes on.
const BUDGET: Duration = Duration::from_mins(2);

/// How many objects are asked for one by one at a time.
const AT_ONCE: usize = 20;

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
    /// Recordings that were announced and are there, in a bucket that may not be listed.
    pub announced: u64,
}

impl Scanned {
    fn add(&mut self, other: Self) {
        self.new += other.new;
        self.found_again += other.found_again;
        self.missing += other.missing;
        self.announced += other.announced;
    }
}

impl std::fmt::Display for Scanned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { new, found_again, missing, announced } = self;
        if *announced > 0 {
            return write!(f, "found {announced} recordings that were announced");
        }
        if new + found_again + missing == 0 {
            return Ok(());
        }
        write!(
            f,
            "found {new} recordings that nobody had told of and {found_again} that were missing, and missed {missing}"
        )
    }
}

/// Goes through the buckets that `config` names, for about two minutes. What was announced is asked for where it may not be listed.
pub async fn run(db: &PgPool, storage: &Storage, config: &Config) -> Result<Scanned, ScanError> {
    match scan(db, storage, &Buckets::of(config), Instant::now() + BUDGET).await {
        Err(ScanError::Unlisted) => {
            let announced = seek::seek(db, storage, &folder(config)).await?;
            Ok(Scanned { announced: announced as u64, ..Scanned::default() })
        }
        scanned => scanned,
    }
}

/// The buckets that recordings are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buckets {
    /// That of this service, and the one that Whereby records into.
    pub all: BTreeSet<String>,
    /// The latter, where that is known: what was announced and not seen is to be there.
    pub of_whereby: Option<String>,
}

impl Buckets {
    /// Those that `config` names.
    pub fn of(config: &Config) -> Self {
        let own = config.storage.as_ref().map(|storage| storage.bucket.clone());
        let meetings = config.whereby.meetings.as_ref().ok();
        let whereby = meetings.and_then(|meetings| meetings.recordings.as_ref());
        let of_whereby = whereby.map(|recordings| recordings.bucket_alone().to_owned());
        Self { all: own.into_iter().chain(of_whereby.clone()).collect(), of_whereby }
    }

    /// Since when all that was announced would have been seen, if `whole` are the buckets that were looked through to their ends, and since
    /// when.
    fn seen_since(&self, whole: &BTreeMap<&str, OffsetDateTime>) -> Option<OffsetDateTime> {
        match &self.of_whereby {
            Some(bucket) => whole.get(bucket.as_str()).copied(),
            None if whole.len() == self.all.len() => whole.values().min().copied(),
            None => None,
        }
    }
}

/// Where in its bucket Whereby records.
fn folder(config: &Config) -> String {
    let meetings = config.whereby.meetings.as_ref().ok();
    let recordings = meetings.and_then(|meetings| meetings.recordings.as_ref());
    let folder = recordings.and_then(|recordings| recordings.bucket.split_once('/'));
    folder.map_or_else(String::new, |(_, folder)| format!("{folder}/"))
}

/// Goes through `buckets`, until `deadline` at least a piece of each. One that says no keeps no other from it; the first such is the error.
pub async fn scan(
    db: &PgPool,
    storage: &Storage,
    buckets: &Buckets,
    deadline: Instant,
) -> Result<Scanned, ScanError> {
    let (mut scanned, mut whole, mut failed) = (Scanned::default(), BTreeMap::new(), None);
    for bucket in &buckets.all {
        match go_through(db, storage, bucket, deadline, &mut scanned).await {
            Ok(Some(began_at)) => {
                whole.insert(bucket.as_str(), began_at);
            }
            Ok(None) => {}
            Err(error @ ScanError::Database(_)) => return Err(error),
            Err(error) => {
                if let ScanError::Storage { error, .. } = &error {
                    tracing::warn!(bucket, "a bucket is not looked through: {error}");
                }
                failed.get_or_insert(error);
            }
        }
    }
    if let Some(began_at) = buckets.seen_since(&whole) {
        scanned.missing += bucket_scans::miss_announced(db, began_at).await?;
    }
    failed.map_or(Ok(scanned), Err)
}

/// Goes through a bucket, and adds to `scanned` what that came to. At its end it says when that began; `None` before.
async fn go_through(
    db: &PgPool,
    storage: &Storage,
    bucket: &str,
    deadline: Instant,
    scanned: &mut Scanned,
) -> Result<Option<OffsetDateTime>, ScanError> {
    loop {
        let scan = bucket_scans::go_on(db, bucket).await?;
        let (piece, is_last) = look(db, storage, bucket, &scan, deadline).await?;
        scanned.add(piece);
        if is_last {
            return Ok(Some(scan.began_at));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
    }
}

/// Compares one page of a bucket with what is known, and writes down what differs and how far it came: where much is gone, or at the
/// deadline, that may be less than the page.
async fn look(
    db: &PgPool,
    storage: &Storage,
    bucket: &str,
    scan: &Scan,
    deadline: Instant,
) -> Result<(Scanned, bool), ScanError> {
    let now = OffsetDateTime::now_utc();
    let mut page = storage.list(bucket, &scan.after_key).await.map_err(|error| {
        if storage.does_without(Extra::List, &error) {
            ScanError::Unlisted
        } else {
            ScanError::of(storage, error)
        }
    })?;
    let mut until = page.objects.last().filter(|_| page.has_more).map(|object| object.key.clone());
    let range = KeyRange { bucket, after: &scan.after_key, until: until.as_deref() };
    let expected = bucket_scans::list_expected(db, range, now - FRESH).await?;
    if expected.has_more {
        until = expected.keys.last().map(|last| last.object_key.clone());
    }
    let listed: BTreeSet<_> = page.objects.iter().map(|object| object.key.as_str()).collect();
    let (there, gone): (Vec<_>, Vec<_>) =
        expected.keys.iter().partition(|expected| listed.contains(expected.object_key.as_str()));
    let gone: Vec<_> = gone.iter().filter(|e| e.is_stored).map(|e| e.object_key.as_str()).collect();
    let (missing, cut_at) = miss(db, storage, bucket, &gone, deadline).await?;
    until = cut_at.map(ToOwned::to_owned).or(until);
    let is_seen = |key: &str| until.as_deref().is_none_or(|until| key <= until);
    let again = there.iter().filter(|e| !e.is_stored).map(|e| e.object_key.as_str());
    let again: Vec<_> = again.filter(|key| is_seen(key)).collect();
    page.objects.retain(|object| is_seen(&object.key));
    let scanned = Scanned {
        new: recordings::found(db, &sights(bucket, &page, now), Witness::Scan).await?,
        found_again: bucket_scans::found_again(db, bucket, &again, now).await?,
        missing,
        announced: 0,
    };
    bucket_scans::note(db, bucket, until.as_deref()).await?;
    Ok((scanned, until.is_none()))
}

/// Asks for each of `gone`, which were not in a list, and stores which are not there, some at a time; returns how many those were, and
/// the key behind which it stopped, if it did at the deadline.
async fn miss<'a>(
    db: &PgPool,
    storage: &Storage,
    bucket: &str,
    gone: &[&'a str],
    deadline: Instant,
) -> Result<(u64, Option<&'a str>), ScanError> {
    let mut missing = 0;
    for some in gone.chunks(AT_ONCE) {
        let at = OffsetDateTime::now_utc();
        // It may have been written since the list was made.
        let asked = some.iter().map(|key| storage.has(Place { bucket, key }));
        let asked = try_join_all(asked).await.map_err(|error| ScanError::of(storage, error))?;
        let losses = some.iter().zip(asked).filter(|(_, is_there)| !is_there);
        let losses = losses.map(|(key, _)| Loss { bucket: bucket.to_owned(), key: (*key).to_owned(), at });
        let losses: Vec<_> = losses.collect();
        missing += recordings::missed(db, &losses).await?;
        for loss in &losses {
            tracing::warn!(
                loss.bucket,
                loss.key,
                "a recording is not in the storage any more, and was not removed by this service"
            );
        }
        let last = some.last().copied();
        if last != gone.last().copied() && Instant::now() > deadline {
            return Ok((missing, last));
        }
    }
    Ok((missing, None))
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
