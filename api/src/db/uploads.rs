//! Uploads: one at a time for each recording, verified by one process at a time.
//!
//! Leases are told by the database's clock, so that it does not matter whose clock is wrong.

use std::time::Duration;

use sqlx::postgres::types::PgInterval;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::patience;
use super::setting::read as setting;
use crate::domain::room::RecordingType;

/// How far an upload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Parts are being sent.
    Open,
    /// Somebody puts it together and reads it back, or was to.
    Verifying,
    /// The storage holds what the host held.
    Verified,
    /// It is over, for this reason.
    Ended(EndReason),
}

/// Why an upload is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// The storage held something else than the host.
    Mismatch,
    /// The host began another one for the same recording.
    Replaced,
    /// The host does not want it any more.
    Aborted,
    /// Nobody asked about it for days.
    Abandoned,
    /// The storage does not know it any more.
    Lost,
}

impl EndReason {
    const ALL: [Self; 5] = [Self::Mismatch, Self::Replaced, Self::Aborted, Self::Abandoned, Self::Lost];

    fn as_str(self) -> &'static str {
        match self {
            Self::Mismatch => "mismatch",
            Self::Replaced => "replaced",
            Self::Aborted => "aborted",
            Self::Abandoned => "abandoned",
            Self::Lost => "lost",
        }
    }
}

/// An upload.
#[derive(Debug, Clone)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The recording's id.
    pub recording_id: String,
    /// The file's size in bytes.
    pub size_bytes: u64,
    /// The file's SHA-256, as its host says.
    pub sha256: String,
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub object_key: String,
    /// What the storage calls it.
    pub storage_id: String,
    /// The size of every part but the last.
    pub part_size_bytes: u64,
    /// The number of parts.
    pub part_count: u32,
    /// How far it is.
    pub state: State,
    /// Why the last verification came to no end.
    pub trouble: Option<String>,
}

/// An upload that begins.
#[derive(Debug)]
pub struct NewUpload<'a> {
    /// The upload.
    pub upload: &'a Upload,
    /// The meeting that was recorded.
    pub meeting_id: &'a str,
    /// The recording session.
    pub session_id: &'a str,
    /// The host that holds the file.
    pub host: &'a str,
    /// The file's name.
    pub file_name: &'a str,
    /// When the file was finished.
    pub finished_at: Option<OffsetDateTime>,
}

macro_rules! columns {
    () => {
        "id, recording_id, size_bytes, sha256, bucket, object_key, storage_id, part_size_bytes, part_count, state, \
         end_reason, trouble"
    };
}

#[derive(FromRow)]
struct Row {
    id: String,
    recording_id: String,
    size_bytes: i64,
    sha256: String,
    bucket: String,
    object_key: String,
    storage_id: String,
    part_size_bytes: i64,
    part_count: i32,
    state: String,
    end_reason: Option<String>,
    trouble: Option<String>,
}

impl TryFrom<Row> for Upload {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        let reason =
            EndReason::ALL.into_iter().find(|reason| row.end_reason.as_deref() == Some(reason.as_str()));
        let state = match (row.state.as_str(), reason) {
            ("open", _) => State::Open,
            ("verifying", _) => State::Verifying,
            ("verified", _) => State::Verified,
            ("ended", Some(reason)) => State::Ended(reason),
            (other, _) => return Err(sqlx::Error::Decode(format!("{other:?} is no upload's state").into())),
        };
        Ok(Self {
            id: row.id,
            recording_id: row.recording_id,
            size_bytes: unsigned(row.size_bytes),
            sha256: row.sha256,
            bucket: row.bucket,
            object_key: row.object_key,
            storage_id: row.storage_id,
            part_size_bytes: unsigned(row.part_size_bytes),
            part_count: row.part_count.unsigned_abs(),
            state,
            trouble: row.trouble,
        })
    }
}

/// Constraints keep these numbers above zero.
fn unsigned(number: i64) -> u64 {
    number.unsigned_abs()
}

/// No file of ours comes near the limit.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn interval(duration: Duration) -> PgInterval {
    let microseconds = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}

/// The newest meeting of this room name, and where it records.
pub async fn find_meeting(
    db: &PgPool,
    room_name: &str,
) -> Result<Option<(String, RecordingType)>, sqlx::Error> {
    let query = sqlx::query_as::<_, (String, String)>(
        "-- uploads.find_meeting
        SELECT id, recording_type FROM reflector.meeting WHERE room_name = $1 ORDER BY start_date DESC LIMIT 1",
    )
    .bind(room_name);
    let row = patience::fetch_optional(db, query).await?;
    row.map(|(id, recording_type)| Ok((id, setting(&recording_type)?))).transpose()
}

/// The recording's upload, unless it is over. That somebody asks is noted.
pub async fn find_live(db: &PgPool, recording_id: &str) -> Result<Option<Upload>, sqlx::Error> {
    let query = sqlx::query_as::<_, Row>(concat!(
        "-- uploads.find_live
        UPDATE reflector.upload SET touched_at = now() WHERE recording_id = $1 AND state <> 'ended' RETURNING ",
        columns!(),
    ))
    .bind(recording_id);
    let row = patience::fetch_optional(db, query).await?;
    row.map(Upload::try_from).transpose()
}

/// The upload with this id. That somebody asks is noted.
pub async fn find(db: &PgPool, id: &str) -> Result<Option<Upload>, sqlx::Error> {
    let query = sqlx::query_as::<_, Row>(concat!(
        "-- uploads.find
        UPDATE reflector.upload SET touched_at = now() WHERE id = $1 RETURNING ",
        columns!(),
    ))
    .bind(id);
    let row = patience::fetch_optional(db, query).await?;
    row.map(Upload::try_from).transpose()
}

/// Stores an upload that begins; false if the recording has one already.
pub async fn insert(db: &PgPool, new: &NewUpload<'_>) -> Result<bool, sqlx::Error> {
    let upload = new.upload;
    let query = sqlx::query(
        "-- uploads.insert
        INSERT INTO reflector.upload (
          id, recording_id, meeting_id, session_id, host, file_name, finished_at, size_bytes, sha256, bucket, object_key,
          storage_id, part_size_bytes, part_count
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ON CONFLICT (recording_id) WHERE state <> 'ended' DO NOTHING",
    )
    .bind(&upload.id)
    .bind(&upload.recording_id)
    .bind(new.meeting_id)
    .bind(new.session_id)
    .bind(new.host)
    .bind(new.file_name)
    .bind(new.finished_at)
    .bind(signed(upload.size_bytes))
    .bind(&upload.sha256)
    .bind(&upload.bucket)
    .bind(&upload.object_key)
    .bind(&upload.storage_id)
    .bind(signed(upload.part_size_bytes))
    .bind(i32::try_from(upload.part_count).unwrap_or(i32::MAX));
    let done = patience::execute(db, query).await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an upload; false if it had ended. What is left of it in the storage has to be removed, unless it was verified: somebody
/// may have been told of that object.
pub async fn end(db: &PgPool, id: &str, reason: EndReason) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "-- uploads.end
        UPDATE reflector.upload
        SET state = 'ended', end_reason = $2, has_debris = verified_at IS NULL, lease = NULL, leased_until = NULL
        WHERE id = $1 AND state <> 'ended'",
    )
    .bind(id)
    .bind(reason.as_str());
    let done = patience::execute(db, query).await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an upload that is not verified; false if it is, or has ended.
pub async fn end_unverified(db: &PgPool, id: &str, reason: EndReason) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "-- uploads.end_unverified
        UPDATE reflector.upload
        SET state = 'ended', end_reason = $2, has_debris = true, lease = NULL, leased_until = NULL
        WHERE id = $1 AND state IN ('open', 'verifying')",
    )
    .bind(id)
    .bind(reason.as_str());
    let done = patience::execute(db, query).await?;
    Ok(done.rows_affected() == 1)
}

/// Ends an upload that nobody has begun to verify; false if somebody has, or it has ended.
pub async fn end_open(db: &PgPool, id: &str, reason: EndReason) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "-- uploads.end_open
        UPDATE reflector.upload
        SET state = 'ended', end_reason = $2, has_debris = true, lease = NULL, leased_until = NULL
        WHERE id = $1 AND state = 'open'",
    )
    .bind(id)
    .bind(reason.as_str());
    let done = patience::execute(db, query).await?;
    Ok(done.rows_affected() == 1)
}

/// Begins or takes over a verification for `term`, unless somebody is at it or one has just failed.
pub async fn lease(db: &PgPool, id: &str, lease: &str, term: Duration) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "-- uploads.lease
        UPDATE reflector.upload SET state = 'verifying', lease = $2, leased_until = now() + $3, trouble = NULL
        WHERE id = $1 AND (state = 'open' OR state = 'verifying' AND (leased_until IS NULL OR leased_until < now()))",
    )
    .bind(id)
    .bind(lease)
    .bind(interval(term));
    let done = patience::execute(db, query).await?;
    Ok(done.rows_affected() == 1)
}

/// Holds on to a verification for another `term`; false when it is somebody else's, or the upload has ended.
pub async fn renew(db: &PgPool, id: &str, lease: &str, term: Duration) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "-- uploads.renew
        UPDATE reflector.upload SET leased_until = now() + $3, touched_at = now() WHERE id = $1 AND lease = $2",
    )
    .bind(id)
    .bind(lease)
    .bind(interval(term));
    let done = patience::execute(db, query).await?;
    Ok(done.rows_affected() == 1)
}

/// How a verification came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding<'a> {
    /// The storage holds the file.
    Verified,
    /// Parts are missing after all; the host goes on sending.
    Incomplete,
    /// It is over.
    Over(EndReason),
    /// Nothing was found out; somebody has to try again, after a while.
    Trouble(&'a str),
}

/// Writes down how a verification came out, and where the recording is if it is verified; false when it was somebody else's meanwhile, or the upload has ended. After a trouble
/// nobody gets the next lease for `pause`, so that those who ask are told of it.
pub async fn settle(
    db: &PgPool,
    id: &str,
    lease: &str,
    finding: Finding<'_>,
    pause: Duration,
) -> Result<bool, sqlx::Error> {
    let (state, reason, trouble) = match finding {
        Finding::Verified => ("verified", None, None),
        Finding::Incomplete => ("open", None, None),
        Finding::Over(reason) => ("ended", Some(reason.as_str()), None),
        Finding::Trouble(trouble) => ("verifying", None, Some(trouble)),
    };
    let query = sqlx::query_as::<_, (bool,)>(
        "-- uploads.settle
        WITH settled AS (
          UPDATE reflector.upload
          SET state = $3, end_reason = $4, trouble = $5, has_debris = $3 = 'ended', lease = NULL,
            leased_until = CASE WHEN $3 = 'verifying' THEN now() + $6 END,
            verified_at = CASE WHEN $3 = 'verified' THEN now() END
          WHERE id = $1 AND lease = $2
          RETURNING *
        ),
        recording AS (
          INSERT INTO reflector.recording AS r (
            id, meeting_id, room_name, file, status, completed_at, session_id, host, size_bytes, sha256, bucket, object_key,
            announced_at, found_at, stored_at, forgotten_at, denied
          )
          SELECT s.recording_id, m.id, COALESCE(m.room_name, d.room_name), s.file_name, 'completed', COALESCE(s.finished_at, s.verified_at), s.session_id,
            s.host, s.size_bytes, s.sha256, s.bucket, s.object_key, s.verified_at, s.verified_at, s.verified_at,
            CASE WHEN m.id IS NULL THEN s.verified_at END, m.id IS NULL AND COALESCE(d.denied, false)
          FROM settled s
          LEFT JOIN reflector.meeting m ON m.id = s.meeting_id
          LEFT JOIN reflector.deleted_meeting d ON d.id = s.meeting_id
          WHERE s.state = 'verified'
          ON CONFLICT (id) DO UPDATE SET
            size_bytes = EXCLUDED.size_bytes, sha256 = EXCLUDED.sha256, bucket = EXCLUDED.bucket, object_key = EXCLUDED.object_key,
            announced_at = LEAST(r.announced_at, EXCLUDED.announced_at), found_at = EXCLUDED.found_at,
            stored_at = EXCLUDED.stored_at
          WHERE r.found_at IS NULL AND (
            r.meeting_id = EXCLUDED.meeting_id
            OR r.forgotten_at IS NOT NULL AND EXCLUDED.meeting_id IS NULL AND r.room_name = EXCLUDED.room_name
          )
        )
        SELECT true FROM settled",
    )
    .bind(id)
    .bind(lease)
    .bind(state)
    .bind(reason)
    .bind(trouble)
    .bind(interval(pause));
    Ok(patience::fetch_optional(db, query).await?.is_some())
}

/// Some of the uploads that nobody asked about for `age`, the oldest first.
pub async fn find_abandoned(db: &PgPool, age: Duration, limit: i64) -> Result<Vec<Upload>, sqlx::Error> {
    let query = sqlx::query_as::<_, Row>(concat!(
        "-- uploads.find_abandoned
        SELECT ",
        columns!(),
        " FROM reflector.upload
        WHERE state IN ('open', 'verifying') AND touched_at < now() - $1
        ORDER BY touched_at
        LIMIT $2",
    ))
    .bind(interval(age))
    .bind(limit);
    let rows = patience::fetch_all(db, query).await?;
    rows.into_iter().map(Upload::try_from).collect()
}

/// Ends an upload if nobody has asked about it for `age` until now; false if somebody has, or it has ended.
pub async fn end_abandoned(db: &PgPool, id: &str, age: Duration) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "-- uploads.end_abandoned
        UPDATE reflector.upload
        SET state = 'ended', end_reason = 'abandoned', has_debris = true, lease = NULL, leased_until = NULL
        WHERE id = $1 AND state IN ('open', 'verifying') AND touched_at < now() - $2",
    )
    .bind(id)
    .bind(interval(age));
    Ok(patience::execute(db, query).await?.rows_affected() == 1)
}

/// Takes some uploads that have left something in the storage; nobody else gets them for `term`.
pub async fn take_debris(db: &PgPool, limit: i64, term: Duration) -> Result<Vec<Upload>, sqlx::Error> {
    let query = sqlx::query_as::<_, Row>(concat!(
        "-- uploads.take_debris
        UPDATE reflector.upload SET leased_until = now() + $2
        WHERE id IN (
          SELECT id FROM reflector.upload
          WHERE has_debris AND (leased_until IS NULL OR leased_until < now())
          ORDER BY touched_at
          LIMIT $1
          FOR UPDATE SKIP LOCKED
        )
        RETURNING ",
        columns!(),
    ))
    .bind(limit)
    .bind(interval(term));
    let rows = patience::fetch_all(db, query).await?;
    rows.into_iter().map(Upload::try_from).collect()
}

/// Whether whatever the storage has of an upload may be removed: it has ended without having been verified.
pub async fn is_unwanted(db: &PgPool, id: &str) -> Result<bool, sqlx::Error> {
    let query = sqlx::query_as::<_, (bool,)>(
        "-- uploads.is_unwanted
        SELECT state = 'ended' AND verified_at IS NULL FROM reflector.upload WHERE id = $1",
    )
    .bind(id);
    Ok(patience::fetch_optional(db, query).await?.is_some_and(|(is_unwanted,)| is_unwanted))
}

/// Notes that nothing of an upload is left in the storage.
pub async fn note_removed(db: &PgPool, id: &str) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "-- uploads.note_removed
        UPDATE reflector.upload SET has_debris = false, leased_until = NULL WHERE id = $1",
    )
    .bind(id);
    patience::execute(db, query).await.map(drop)
}
