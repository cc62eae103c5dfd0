//! Recordings, as operators are shown them.

use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::ops::Mark;
use super::patience::{fetch_all, fetch_optional};
use crate::domain::recording_state::State;

/// A recording in a list.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RecordingLine {
    /// Its id.
    pub id: String,
    /// Its meeting, if that is known.
    pub meeting_id: Option<String>,
    /// The meeting's name on its platform.
    pub room_name: Option<String>,
    /// The file's path, or its key.
    pub file: String,
    /// The host that made it.
    pub host: Option<String>,
    /// What the file is worth.
    pub status: String,
    /// When it was found complete.
    pub completed_at: OffsetDateTime,
    /// Size in bytes.
    pub size_bytes: Option<i64>,
    /// Duration in milliseconds.
    pub duration_ms: Option<i64>,
    /// Where it is.
    pub state: String,
    /// Why it was removed.
    pub deleted_reason: Option<String>,
    /// Whether it is given to nobody.
    pub is_withheld: bool,
}

macro_rules! lines {
    () => {
        "SELECT id, meeting_id, room_name, file, host, status, completed_at, size_bytes, duration_ms, state, deleted_reason,
          denied AS is_withheld
        FROM reflector.recording"
    };
}

/// The newest recordings after `mark`, those in `state` where one is given; at most `limit` of them.
pub async fn page(
    db: &PgPool,
    state: Option<State>,
    mark: Option<&Mark>,
    limit: i64,
) -> Result<Vec<RecordingLine>, sqlx::Error> {
    let mut query =
        QueryBuilder::<Postgres>::new(concat!("-- ops_recordings.page\n", lines!(), " WHERE true"));
    if let Some(state) = state {
        query.push(" AND state = ").push_bind(state.as_str());
    }
    if let Some(mark) = mark {
        query.push(" AND completed_at <= ").push_bind(mark.at);
        query
            .push(" AND (completed_at < ")
            .push_bind(mark.at)
            .push(" OR id > ")
            .push_bind(&mark.id)
            .push(")");
    }
    query.push(" ORDER BY completed_at DESC, id LIMIT ").push_bind(limit);
    fetch_all(db, query.build_query_as()).await
}

/// The recording with this id.
pub async fn find(db: &PgPool, id: &str) -> Result<Option<RecordingLine>, sqlx::Error> {
    let query = sqlx::query_as(concat!("-- ops_recordings.find\n", lines!(), " WHERE id = $1")).bind(id);
    fetch_optional(db, query).await
}

/// How many recordings somebody should look for: what went amiss long ago was seen to, or is lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Tally {
    /// Those that were found in the last days not to be where they were to be.
    pub missing: i64,
    /// Those that were announced in the last days, more than an hour ago, and never seen.
    pub overdue: i64,
}

/// Counts the recordings that somebody should look for; no more than a thousand of each. One that is missed and belongs to no meeting
/// may be somebody else's.
pub async fn tally(db: &PgPool, now: OffsetDateTime) -> Result<Tally, sqlx::Error> {
    let query = sqlx::query_as(
        "-- ops_recordings.tally
        SELECT
          (SELECT count(*) FROM (
            SELECT FROM reflector.recording
            WHERE state = 'missing' AND missed_at > $1 - interval '7 days' AND meeting_id IS NOT NULL
            LIMIT 1000
          ) m) AS missing,
          (SELECT count(*) FROM (
            SELECT FROM reflector.recording
            WHERE state = 'announced' AND announced_at < $1 - interval '1 hour' AND announced_at > $1 - interval '7 days'
            LIMIT 1000
          ) a) AS overdue",
    )
    .bind(now);
    Ok(fetch_optional(db, query).await?.unwrap_or_default())
}
