//! Scans of buckets: how far each is, and what a page of one is compared with.

use sqlx::PgPool;
use time::OffsetDateTime;

use super::patience;

/// How many recordings are compared with a bucket at a time.
const MOST_EXPECTED: u16 = 1000;

/// A scan that is under way.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Scan {
    /// The key behind which it goes on.
    pub after_key: String,
    /// When it began.
    pub began_at: OffsetDateTime,
}

/// The bucket's scan: the one that is under way, or a new one.
pub async fn go_on(db: &PgPool, bucket: &str) -> Result<Scan, sqlx::Error> {
    let query = sqlx::query_as::<_, Scan>(
        "-- bucket_scans.go_on
        INSERT INTO reflector.bucket_scan AS s (bucket, after_key, began_at) VALUES ($1, '', now())
        ON CONFLICT (bucket) DO UPDATE SET began_at = CASE WHEN s.after_key = '' THEN now() ELSE s.began_at END
        RETURNING after_key, began_at",
    )
    .bind(bucket);
    patience::fetch_optional(db, query).await?.ok_or(sqlx::Error::RowNotFound)
}

/// Notes that a scan came to `after_key`; without one, that it came to the bucket's end.
pub async fn note(db: &PgPool, bucket: &str, after_key: Option<&str>) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "-- bucket_scans.note
        UPDATE reflector.bucket_scan
        SET after_key = COALESCE($2, ''), finished_at = CASE WHEN $2 IS NULL THEN now() ELSE finished_at END
        WHERE bucket = $1",
    )
    .bind(bucket)
    .bind(after_key);
    patience::execute(db, query).await.map(drop)
}

/// A recording that a page of a bucket may say something about.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Expected {
    /// Its object's key.
    pub object_key: String,
    /// Whether it is thought to be there.
    pub is_stored: bool,
}

/// A piece of a bucket.
#[derive(Debug, Clone, Copy)]
pub struct KeyRange<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key behind which it begins.
    pub after: &'a str,
    /// Its last key; without one, it goes to the bucket's end.
    pub until: Option<&'a str>,
}

/// What a piece of a bucket is to hold, in the order of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The objects: a thousand, or all that there are.
    pub keys: Vec<Expected>,
    /// Whether there may be more.
    pub has_more: bool,
}

/// The recordings in `range` whose objects were seen before `before`.
pub async fn list_expected(
    db: &PgPool,
    range: KeyRange<'_>,
    before: OffsetDateTime,
) -> Result<Expectation, sqlx::Error> {
    let query = sqlx::query_as::<_, Expected>(
        "-- bucket_scans.list_expected
        SELECT object_key, state = 'stored' AS is_stored
        FROM reflector.recording
        WHERE bucket = $1 AND object_key COLLATE \"C\" > $2 AND ($3 IS NULL OR object_key COLLATE \"C\" <= $3)
          AND state IN ('stored', 'missing') AND found_at < $4
        ORDER BY object_key COLLATE \"C\"
        LIMIT $5",
    )
    .bind(range.bucket)
    .bind(range.after)
    .bind(range.until)
    .bind(before)
    .bind(i64::from(MOST_EXPECTED));
    let keys = patience::fetch_all(db, query).await?;
    Ok(Expectation { has_more: keys.len() >= usize::from(MOST_EXPECTED), keys })
}

/// Stores that these objects are there after all.
pub async fn found_again(
    db: &PgPool,
    bucket: &str,
    keys: &[&str],
    at: OffsetDateTime,
) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(
        "-- bucket_scans.found_again
        UPDATE reflector.recording SET found_at = GREATEST(found_at, $3)
        WHERE bucket = $1 AND object_key COLLATE \"C\" = ANY($2) AND found_at IS NOT NULL AND state = 'missing'",
    )
    .bind(bucket)
    .bind(keys)
    .bind(at);
    Ok(patience::execute(db, query).await?.rows_affected())
}

/// Stores that what was announced an hour before `began_at` has not turned up in any bucket that was scanned since.
pub async fn miss_announced(db: &PgPool, began_at: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(
        "-- bucket_scans.miss_announced
        UPDATE reflector.recording SET missed_at = GREATEST(missed_at, $1)
        WHERE state = 'announced' AND bucket IS NULL AND announced_at < $1 - interval '1 hour'",
    )
    .bind(began_at);
    Ok(patience::execute(db, query).await?.rows_affected())
}

/// The objects that were announced in the last days and have not been seen in any bucket, the latest first.
pub async fn list_announced(db: &PgPool) -> Result<Vec<String>, sqlx::Error> {
    let query = sqlx::query_as::<_, (String,)>(
        "-- bucket_scans.list_announced
        SELECT object_key FROM reflector.recording
        WHERE state = 'announced' AND bucket IS NULL AND object_key IS NOT NULL AND announced_at > now() - interval '7 days'
        ORDER BY announced_at DESC
        LIMIT 500",
    );
    let rows = patience::fetch_all(db, query).await?;
    Ok(rows.into_iter().map(|(key,)| key).collect())
}
