//! What operators are shown of the whole service.

use contract::heartbeat::Heartbeat;
use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use super::patience::{fetch_all, fetch_optional};

/// The most agents in a list.
const MAX_AGENTS: i64 = 1000;

/// An agent, as it last described itself.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Agent {
    /// When it was heard of first.
    pub first_seen_at: OffsetDateTime,
    /// When it was heard of last, by our clock.
    pub last_seen_at: OffsetDateTime,
    /// What it said.
    #[sqlx(json)]
    pub heartbeat: Heartbeat,
}

/// All agents, by their host's name.
pub async fn agents(db: &PgPool) -> Result<Vec<Agent>, sqlx::Error> {
    let query = sqlx::query_as(
        "-- ops.agents
        SELECT first_seen_at, last_seen_at, heartbeat FROM reflector.agent ORDER BY host, host_id LIMIT $1",
    )
    .bind(MAX_AGENTS);
    fetch_all(db, query).await
}

/// A meeting in a list.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct MeetingLine {
    /// Its id.
    pub id: String,
    /// Its name on its platform.
    pub room_name: String,
    /// Its platform.
    pub platform: String,
    /// When it was made.
    pub start_date: OffsetDateTime,
    /// Until when it is handed out.
    pub end_date: OffsetDateTime,
    /// Whether nobody has ended it.
    pub is_active: bool,
    /// How many occupants were seen in it, machines among them.
    pub seen: i64,
    /// How many recordings there are of it.
    pub recordings: i64,
}

/// Where a page ends that is in the order of time: what the next one follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// When the last one began, or was complete.
    pub at: OffsetDateTime,
    /// The last one's id.
    pub id: String,
}

macro_rules! meeting_lines {
    ($chosen:literal) => {
        concat!(
            "-- ops.meetings
            SELECT m.id, m.room_name, m.platform, m.start_date, m.end_date, m.is_active,
              (SELECT count(*) FROM reflector.participant p WHERE p.meeting_id = m.id) AS seen,
              (SELECT count(*) FROM reflector.recording r WHERE r.meeting_id = m.id) AS recordings
            FROM (",
            $chosen,
            ") m ORDER BY m.start_date DESC, m.id"
        )
    };
}

/// The newest meetings after `mark`, at most `limit` of them.
pub async fn meetings(db: &PgPool, mark: Option<&Mark>, limit: i64) -> Result<Vec<MeetingLine>, sqlx::Error> {
    let query = sqlx::query_as(meeting_lines!(
        "SELECT * FROM reflector.meeting
        WHERE start_date <= COALESCE($1, 'infinity') AND (start_date < COALESCE($1, 'infinity') OR id > $2)
        ORDER BY start_date DESC, id
        LIMIT $3"
    ))
    .bind(mark.map(|mark| mark.at))
    .bind(mark.map_or("", |mark| mark.id.as_str()))
    .bind(limit);
    fetch_all(db, query).await
}

/// The newest meetings that are on, at most `limit` of them.
pub async fn meetings_on(db: &PgPool, limit: i64) -> Result<Vec<MeetingLine>, sqlx::Error> {
    let query = sqlx::query_as(meeting_lines!(
        "SELECT * FROM reflector.meeting WHERE is_active ORDER BY start_date DESC, id LIMIT $1"
    ))
    .bind(limit);
    fetch_all(db, query).await
}

/// The newest meetings of rooms that are called `text`, or whose name on the platform begins like that, and the meeting of that
/// id; at most `limit` of them.
pub async fn meetings_like(db: &PgPool, text: &str, limit: i64) -> Result<Vec<MeetingLine>, sqlx::Error> {
    let begin = text.to_lowercase();
    // Behind everything that begins with the text.
    let end = format!("{begin}{}", char::MAX);
    let query = sqlx::query_as(meeting_lines!(
        "SELECT * FROM (
          (SELECT * FROM reflector.meeting WHERE id = $1)
          UNION
          (SELECT * FROM reflector.meeting
           WHERE room_id = (SELECT id FROM reflector.room WHERE name = $1) ORDER BY end_date DESC LIMIT $3)
          UNION
          (SELECT * FROM reflector.meeting
           WHERE room_name ~>=~ $2 AND room_name ~<~ $4 ORDER BY start_date DESC LIMIT $3)
          UNION
          (SELECT * FROM reflector.meeting
           WHERE room_name ~>=~ ('reflector-' || $2) AND room_name ~<~ ('reflector-' || $4) ORDER BY start_date DESC LIMIT $3)
        ) found ORDER BY start_date DESC, id LIMIT $3"
    ))
    .bind(text)
    .bind(begin)
    .bind(limit)
    .bind(end);
    fetch_all(db, query).await
}

/// An event of a meeting.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct EventLine {
    /// Its name.
    pub name: String,
    /// When it happened, by its source's clock.
    pub occurred_at: OffsetDateTime,
    /// When it was stored.
    pub received_at: OffsetDateTime,
}

/// The events of a meeting that were stored last, the latest first; at most `limit` of them.
pub async fn latest_events(db: &PgPool, meeting_id: &str, limit: i64) -> Result<Vec<EventLine>, sqlx::Error> {
    let query = sqlx::query_as(
        "-- ops.latest_events
        SELECT name, occurred_at, received_at
        FROM reflector.meeting_event
        WHERE meeting_id = $1
        ORDER BY position DESC
        LIMIT $2",
    )
    .bind(meeting_id)
    .bind(limit);
    fetch_all(db, query).await
}

/// Periodic work whose last run failed.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct FailedJob {
    /// Its name.
    pub name: String,
    /// Why.
    pub last_outcome: Option<String>,
    /// When the run ended.
    pub last_ended_at: Option<OffsetDateTime>,
}

/// Those of the periodic work `names` whose last run failed. What is not done any more has a row, too.
pub async fn failed_jobs(db: &PgPool, names: &[&str]) -> Result<Vec<FailedJob>, sqlx::Error> {
    let query = sqlx::query_as(
        "-- ops.failed_jobs
        SELECT name, last_outcome, last_ended_at FROM reflector.job WHERE name = ANY($1) AND NOT last_succeeded ORDER BY name",
    )
    .bind(names);
    fetch_all(db, query).await
}

/// What is going on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Traffic {
    /// Requests of the last hour that brought something.
    pub requests: i64,
    /// Events of the last hour that were new.
    pub stored: i64,
    /// When the latest request came.
    pub latest_at: Option<OffsetDateTime>,
    /// Meetings that are on, no more than a thousand.
    pub meetings: i64,
}

/// What came since `since`, and what is on now.
pub async fn traffic(db: &PgPool, since: OffsetDateTime) -> Result<Traffic, sqlx::Error> {
    let query = sqlx::query_as(
        "-- ops.traffic
        SELECT COALESCE(sum(requests), 0)::bigint AS requests, COALESCE(sum(stored), 0)::bigint AS stored,
          (SELECT received_at FROM reflector.receipt ORDER BY position DESC LIMIT 1) AS latest_at,
          (SELECT count(*) FROM (SELECT FROM reflector.meeting WHERE is_active LIMIT 1000) on_now) AS meetings
        FROM reflector.receipt
        WHERE received_at >= $1",
    )
    .bind(since);
    Ok(fetch_optional(db, query).await?.unwrap_or_default())
}
