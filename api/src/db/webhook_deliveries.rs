//! Webhooks that are to be delivered: facts that became true, the deliveries made of them, and who sends them.
//!
//! A delivery waits until it is delivered or parked. Deliveries to one receiver are sent by whoever holds the receiver's lease, one
//! after the other. All times are the database's.

use std::time::Duration;

use sqlx::{FromRow, PgConnection, PgPool, Postgres, Transaction};
use time::OffsetDateTime;

use super::patience;

/// Something that webhooks tell of.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Fact {
    /// The event's name.
    pub event: String,
    /// The id of the meeting or of the recording.
    pub subject_id: String,
    /// The id of the meeting.
    pub meeting_id: String,
    /// When it became true.
    pub occurred_at: OffsetDateTime,
}

/// A delivery that is to be made of a fact.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Its id.
    pub id: String,
    /// The receiver.
    pub target: String,
    /// The body.
    pub body: String,
}

/// A delivery whose turn it is.
#[derive(Debug, Clone, FromRow)]
pub struct Delivery {
    /// Its id.
    pub id: String,
    /// The event that it tells of.
    pub event: String,
    /// The id of the meeting or of the recording.
    pub subject_id: String,
    /// The body.
    pub body: String,
    /// The number of this attempt, from 1.
    pub attempt: i32,
    /// The same, counted from when an operator last had it sent again.
    pub attempt_since: i32,
    /// For how many seconds it has been tried.
    pub age_seconds: f64,
    /// How many attempts in a row got no answer from the receiver.
    pub failures: i32,
}

/// What came of an attempt.
#[derive(Debug, Clone)]
pub struct Attempt {
    /// How long it took.
    pub duration: Duration,
    /// The status of the answer.
    pub status: Option<u16>,
    /// Why it was no success.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub preview: Option<String>,
}

/// What becomes of the delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The receiver has it.
    Delivered,
    /// It is due again after this time.
    Retry(Duration),
    /// It waits for an operator, for this reason.
    Parked(String),
}

/// What the receiver is like after the attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reception {
    /// How many attempts in a row got no answer.
    pub failures: u32,
    /// How long nothing is sent to it.
    pub silence: Duration,
}

/// When a meeting began and ended, as webhooks tell it.
#[derive(Debug, Clone, Default, PartialEq, Eq, FromRow)]
pub struct Chronicle {
    /// When somebody was first seen in it.
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    pub ended_at: Option<OffsetDateTime>,
    /// Why.
    pub ended_reason: Option<String>,
}

/// The chronicle of a meeting; an empty one when there is no such meeting.
pub async fn chronicle(db: &PgPool, meeting_id: &str) -> Result<Chronicle, sqlx::Error> {
    let chronicle = sqlx::query_as(
        "-- webhook_deliveries.chronicle
        SELECT started_at, ended_at, ended_reason FROM reflector.meeting WHERE id = $1",
    )
    .bind(meeting_id)
    .fetch_optional(db)
    .await?;
    Ok(chronicle.unwrap_or_default())
}

/// The facts that nobody has made deliveries of, oldest first, without those that are put off.
pub async fn facts(db: &PgPool, limit: i64) -> Result<Vec<Fact>, sqlx::Error> {
    let query = sqlx::query_as(
        "-- webhook_deliveries.facts
        SELECT event, subject_id, meeting_id, occurred_at FROM reflector.webhook_fact WHERE due_at <= now()
        ORDER BY position LIMIT $1",
    );
    patience::fetch_all(db, query.bind(limit)).await
}

/// Takes a fact, for as long as the transaction lasts, and forgets it with its commit. `None` when somebody else has it, or one of the same
/// meeting that is older, or when it became true once more since it was read.
pub async fn take_fact<'a>(
    db: &'a PgPool,
    fact: &Fact,
) -> Result<Option<Transaction<'a, Postgres>>, sqlx::Error> {
    let mut transaction = db.begin().await?;
    let taken = sqlx::query(
        "-- webhook_deliveries.take_fact
        DELETE FROM reflector.webhook_fact
        WHERE (event, subject_id) = (
          SELECT event, subject_id FROM reflector.webhook_fact fact
          WHERE event = $1 AND subject_id = $2 AND occurred_at = $3 AND NOT EXISTS (
            SELECT FROM reflector.webhook_fact older
            WHERE older.meeting_id = fact.meeting_id AND older.position < fact.position
          )
          FOR UPDATE OF fact SKIP LOCKED
        )",
    )
    .bind(&fact.event)
    .bind(&fact.subject_id)
    .bind(fact.occurred_at)
    .execute(&mut *transaction)
    .await?;
    Ok((taken.rows_affected() == 1).then_some(transaction))
}

/// Puts a fact off for `pause`.
pub async fn put_off(db: &PgPool, fact: &Fact, pause: Duration) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "-- webhook_deliveries.put_off
        UPDATE reflector.webhook_fact SET due_at = now() + make_interval(secs => $3) WHERE event = $1 AND subject_id = $2",
    )
    .bind(&fact.event)
    .bind(&fact.subject_id)
    .bind(pause.as_secs_f64());
    patience::execute(db, query).await.map(drop)
}

/// Why a delivery is parked whose recording is given to nobody.
pub const WITHHELD: &str = "somebody in the meeting did not agree to be recorded";

/// Makes a delivery of `fact`, unless it was made before. One that was parked because its recording was withheld is tried again: the
/// denial was taken back.
pub async fn create(db: &mut PgConnection, fact: &Fact, delivery: &NewDelivery) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- webhook_deliveries.create (receiver)
        INSERT INTO reflector.webhook_target AS target (target, next_at) VALUES ($1, now())
        ON CONFLICT (target) DO UPDATE SET next_at = LEAST(target.next_at, now())",
    )
    .bind(&delivery.target)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "-- webhook_deliveries.create
        INSERT INTO reflector.webhook_delivery (id, event, subject_id, meeting_id, target, body)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT ON CONSTRAINT webhook_delivery_once DO UPDATE SET
          state = 'waiting', next_at = now(), since = now(), earlier = webhook_delivery.attempts, settled_at = NULL, reason = NULL
        WHERE webhook_delivery.state = 'parked' AND webhook_delivery.reason = $7",
    )
    .bind(&delivery.id)
    .bind(&fact.event)
    .bind(&fact.subject_id)
    .bind(&fact.meeting_id)
    .bind(&delivery.target)
    .bind(&delivery.body)
    .bind(WITHHELD)
    .execute(db)
    .await
    .map(drop)
}

/// Leases up to `limit` receivers that something is due for, for `term`; those that have waited longest come first. They are the pipeline,
/// or rooms.
pub async fn lease(
    db: &PgPool,
    lease: &str,
    term: Duration,
    is_pipeline: bool,
    limit: i64,
) -> Result<Vec<String>, sqlx::Error> {
    let query = sqlx::query_as::<_, (String,)>(
        "-- webhook_deliveries.lease
        UPDATE reflector.webhook_target SET lease = $1, leased_until = now() + make_interval(secs => $2)
        WHERE target IN (
          SELECT target FROM reflector.webhook_target
          WHERE next_at <= now() AND (rest_until IS NULL OR rest_until <= now())
            AND (leased_until IS NULL OR leased_until <= now()) AND (target = 'pipeline') = $4
          ORDER BY next_at
          LIMIT $3
          FOR UPDATE SKIP LOCKED
        )
        RETURNING target",
    )
    .bind(lease)
    .bind(term.as_secs_f64())
    .bind(limit)
    .bind(is_pipeline);
    let leased = patience::fetch_all(db, query).await?;
    Ok(leased.into_iter().map(|(target,)| target).collect())
}

/// Begins an attempt at the receiver's next delivery, and renews the lease. `None` when nothing is due, or the lease is lost.
pub async fn begin(
    db: &PgPool,
    target: &str,
    lease: &str,
    term: Duration,
) -> Result<Option<Delivery>, sqlx::Error> {
    let query = sqlx::query_as(
        "-- webhook_deliveries.begin
        WITH held AS (
          UPDATE reflector.webhook_target SET leased_until = now() + make_interval(secs => $3)
          WHERE target = $1 AND lease = $2 AND leased_until > now() AND (rest_until IS NULL OR rest_until <= now())
          RETURNING target, failures
        )
        UPDATE reflector.webhook_delivery d SET attempts = d.attempts + 1
        FROM held
        WHERE d.id = (
          SELECT next.id FROM reflector.webhook_delivery next
          WHERE next.target = $1 AND next.state = 'waiting' AND next.next_at <= now()
          ORDER BY next.next_at, next.position
          LIMIT 1
        )
        RETURNING d.id, d.event, d.subject_id, d.body, d.attempts AS attempt, d.attempts - d.earlier AS attempt_since,
          extract(epoch FROM now() - d.since)::float8 AS age_seconds, held.failures",
    )
    .bind(target)
    .bind(lease)
    .bind(term.as_secs_f64());
    patience::fetch_optional(db, query).await
}

/// Ends the attempt: notes what came of it, and when the receiver is to be sent something again. `false` when the lease was lost
/// meanwhile: then somebody else sends the same again, and what came of this attempt counts for nothing.
pub async fn settle(
    db: &PgPool,
    target: &str,
    lease: &str,
    delivery: &Delivery,
    attempt: &Attempt,
    settlement: &Settlement,
    reception: Reception,
) -> Result<bool, sqlx::Error> {
    let mut transaction = db.begin().await?;
    if !hold(&mut transaction, target, lease).await? {
        return Ok(false);
    }
    record(&mut transaction, delivery, attempt).await?;
    let (state, pause, reason) = match settlement {
        Settlement::Delivered => ("delivered", Duration::ZERO, None),
        Settlement::Retry(pause) => ("waiting", *pause, None),
        Settlement::Parked(reason) => ("parked", Duration::ZERO, Some(reason)),
    };
    sqlx::query(
        "-- webhook_deliveries.settle
        UPDATE reflector.webhook_delivery SET
          state = $2,
          next_at = now() + make_interval(secs => $3),
          settled_at = CASE WHEN $2 <> 'waiting' THEN now() END,
          reason = $4
        WHERE id = $1 AND state = 'waiting'",
    )
    .bind(&delivery.id)
    .bind(state)
    .bind(pause.as_secs_f64())
    .bind(reason)
    .execute(&mut *transaction)
    .await?;
    plan(&mut transaction, target, reception).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Whether the receiver is still the holder's; nobody else gets it until the transaction ends.
async fn hold(db: &mut PgConnection, target: &str, lease: &str) -> Result<bool, sqlx::Error> {
    let held: Option<i32> = sqlx::query_scalar(
        "-- webhook_deliveries.hold
        SELECT 1 FROM reflector.webhook_target WHERE target = $1 AND lease = $2 FOR UPDATE",
    )
    .bind(target)
    .bind(lease)
    .fetch_optional(db)
    .await?;
    Ok(held.is_some())
}

async fn record(db: &mut PgConnection, delivery: &Delivery, attempt: &Attempt) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- webhook_deliveries.record
        INSERT INTO reflector.webhook_attempt (delivery_id, number, duration_ms, status, error, preview)
        VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(&delivery.id)
    .bind(delivery.attempt)
    .bind(i32::try_from(attempt.duration.as_millis()).unwrap_or(i32::MAX))
    .bind(attempt.status.map(i32::from))
    .bind(&attempt.error)
    .bind(&attempt.preview)
    .execute(db)
    .await
    .map(drop)
}

async fn plan(db: &mut PgConnection, target: &str, reception: Reception) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- webhook_deliveries.plan
        UPDATE reflector.webhook_target SET
          failures = $2,
          rest_until = now() + make_interval(secs => $3),
          next_at = (SELECT min(d.next_at) FROM reflector.webhook_delivery d WHERE d.target = $1 AND d.state = 'waiting')
        WHERE target = $1",
    )
    .bind(target)
    .bind(i32::try_from(reception.failures).unwrap_or(i32::MAX))
    .bind(reception.silence.as_secs_f64())
    .execute(db)
    .await
    .map(drop)
}

/// Gives a receiver back. What is due when is looked up while nobody can add to it.
pub async fn release(db: &PgPool, target: &str, lease: &str) -> Result<(), sqlx::Error> {
    let mut transaction = db.begin().await?;
    if hold(&mut transaction, target, lease).await? {
        sqlx::query(
            "-- webhook_deliveries.release
            UPDATE reflector.webhook_target SET
              lease = NULL,
              leased_until = NULL,
              next_at = (SELECT min(d.next_at) FROM reflector.webhook_delivery d WHERE d.target = $1 AND d.state = 'waiting')
            WHERE target = $1",
        )
        .bind(target)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}

/// Has a parked delivery tried again, at once and for as long as a new one. `false` when there is none with this id.
pub async fn retry(db: &PgPool, id: &str) -> Result<bool, sqlx::Error> {
    let retried = sqlx::query(
        "-- webhook_deliveries.retry
        WITH retried AS (
          UPDATE reflector.webhook_delivery
          SET state = 'waiting', next_at = now(), since = now(), earlier = attempts, settled_at = NULL, reason = NULL
          WHERE id = $1 AND state = 'parked'
          RETURNING target
        )
        UPDATE reflector.webhook_target t SET next_at = now(), rest_until = NULL, failures = 0 FROM retried WHERE t.target = retried.target",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(retried.rows_affected() == 1)
}

/// Forgets up to `limit` deliveries that were settled long ago: delivered ones after `delivered`, parked ones after `parked`. How many.
pub async fn forget(
    db: &PgPool,
    delivered: Duration,
    parked: Duration,
    limit: i64,
) -> Result<u64, sqlx::Error> {
    let forgotten = sqlx::query(
        "-- webhook_deliveries.forget
        DELETE FROM reflector.webhook_delivery WHERE id IN (
          (SELECT id FROM reflector.webhook_delivery
          WHERE state = 'delivered' AND settled_at < now() - make_interval(secs => $1) LIMIT $3)
          UNION ALL
          (SELECT id FROM reflector.webhook_delivery
          WHERE state = 'parked' AND settled_at < now() - make_interval(secs => $2) LIMIT $3)
        )",
    )
    .bind(delivered.as_secs_f64())
    .bind(parked.as_secs_f64())
    .bind(limit)
    .execute(db)
    .await?;
    Ok(forgotten.rows_affected())
}
