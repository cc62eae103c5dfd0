//! Webhooks that go out, as operators are shown them.

use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::patience::{fetch_all, fetch_optional};

/// A delivery in a list, with what came of the last attempt.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct DeliveryLine {
    /// Its id, which the receiver gets, too.
    pub id: String,
    /// Its place in the order of making.
    pub position: i64,
    /// The event that it tells of.
    pub event: String,
    /// The id of the meeting.
    pub meeting_id: String,
    /// The receiver.
    pub target: String,
    /// Where the receiver is a room: its name.
    pub room: Option<String>,
    /// `waiting`, `delivered` or `parked`.
    pub state: String,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is due.
    pub next_at: OffsetDateTime,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// When it was delivered or parked.
    pub settled_at: Option<OffsetDateTime>,
    /// Why it was parked.
    pub reason: Option<String>,
    /// The status that came last.
    pub status: Option<i32>,
    /// Why the last attempt was no success.
    pub error: Option<String>,
}

/// A state of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is tried again and again.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// Somebody has to look.
    Parked,
}

impl State {
    /// Every state, the one that wants somebody first.
    pub const ALL: [Self; 3] = [Self::Parked, Self::Waiting, Self::Delivered];

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Parked => "parked",
        }
    }
}

macro_rules! lines {
    () => {
        "SELECT d.id, d.position, d.event, d.meeting_id, d.target, d.state, d.attempts, d.next_at, d.created_at, d.settled_at,
          d.reason, last.status, last.error,
          (SELECT room.name FROM reflector.room WHERE 'room:' || room.id = d.target AND room.id = substr(d.target, 6)) AS room
        FROM reflector.webhook_delivery d
        LEFT JOIN LATERAL (
          SELECT status, error FROM reflector.webhook_attempt a WHERE a.delivery_id = d.id ORDER BY number DESC LIMIT 1
        ) last ON true"
    };
}

/// The newest deliveries before position `before`, those in `state` where one is given; at most `limit` of them.
pub async fn page(
    db: &PgPool,
    state: Option<State>,
    before: i64,
    limit: i64,
) -> Result<Vec<DeliveryLine>, sqlx::Error> {
    let mut query =
        QueryBuilder::<Postgres>::new(concat!("-- ops_webhooks.page\n", lines!(), " WHERE d.position < "));
    query.push_bind(before);
    if let Some(state) = state {
        query.push(" AND d.state = ").push_bind(state.as_str());
    }
    query.push(" ORDER BY d.position DESC LIMIT ").push_bind(limit);
    fetch_all(db, query.build_query_as()).await
}

/// The newest deliveries that tell of a meeting or of its recordings, at most `limit` of them.
pub async fn of_meeting(db: &PgPool, meeting_id: &str, limit: i64) -> Result<Vec<DeliveryLine>, sqlx::Error> {
    let query = sqlx::query_as(concat!(
        "-- ops_webhooks.of_meeting\n",
        lines!(),
        " WHERE d.meeting_id = $1 ORDER BY d.position DESC LIMIT $2"
    ))
    .bind(meeting_id)
    .bind(limit);
    fetch_all(db, query).await
}

/// The delivery with this id.
pub async fn find(db: &PgPool, id: &str) -> Result<Option<DeliveryLine>, sqlx::Error> {
    let query = sqlx::query_as(concat!("-- ops_webhooks.find\n", lines!(), " WHERE d.id = $1")).bind(id);
    fetch_optional(db, query).await
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct AttemptLine {
    /// Its number, from 1.
    pub number: i32,
    /// When it ended.
    pub ended_at: OffsetDateTime,
    /// How long it took.
    pub duration_ms: i32,
    /// The status of the answer.
    pub status: Option<i32>,
    /// Why it was no success.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub preview: Option<String>,
}

/// The latest attempts at a delivery.
pub async fn attempts(db: &PgPool, id: &str) -> Result<Vec<AttemptLine>, sqlx::Error> {
    let query = sqlx::query_as(
        "-- ops_webhooks.attempts
        SELECT number, ended_at, duration_ms, status, error, preview
        FROM reflector.webhook_attempt
        WHERE delivery_id = $1
        ORDER BY number DESC
        LIMIT 100",
    )
    .bind(id);
    fetch_all(db, query).await
}

/// Deliveries that have not arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct Tally {
    /// Those that somebody has to look at.
    pub parked: i64,
    /// Those that are tried again and again, or wait for their turn.
    pub waiting: i64,
    /// When the oldest of the latter was made.
    pub waiting_since: Option<OffsetDateTime>,
}

/// Counts the deliveries that have not arrived; no more than a thousand of each.
pub async fn tally(db: &PgPool) -> Result<Tally, sqlx::Error> {
    let query = sqlx::query_as(
        "-- ops_webhooks.tally
        SELECT
          (SELECT count(*) FROM (SELECT FROM reflector.webhook_delivery WHERE state = 'parked' LIMIT 1000) p) AS parked,
          (SELECT count(*) FROM (SELECT FROM reflector.webhook_delivery WHERE state = 'waiting' LIMIT 1000) w) AS waiting,
          (SELECT created_at FROM reflector.webhook_delivery WHERE state = 'waiting' ORDER BY position LIMIT 1) AS waiting_since",
    );
    fetch_optional(db, query).await.map(Option::unwrap_or_default)
}
