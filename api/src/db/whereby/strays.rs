//! Webhooks of rooms that no meeting has.

use std::time::Duration;

use sqlx::{FromRow, PgPool};

/// A webhook that waits for its meeting.
#[derive(Debug, FromRow)]
pub struct Stray {
    /// The event's id.
    pub id: String,
    /// The event, as JSON.
    pub event: String,
}

/// Keeps an event that no meeting takes. An id is kept once.
pub async fn keep(db: &PgPool, id: &str, room_name: Option<&str>, event: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- whereby.strays.keep
        INSERT INTO reflector.whereby_stray (id, room_name, event) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(room_name)
    .bind(event)
    .execute(db)
    .await
    .map(drop)
}

/// Those that came within the last `time` and whose meeting is there by now, in the order in which they came.
pub async fn found(db: &PgPool, time: Duration) -> Result<Vec<Stray>, sqlx::Error> {
    sqlx::query_as(
        "-- whereby.strays.found
        SELECT s.id, s.event
        FROM reflector.whereby_stray s
        WHERE s.received_at > now() - make_interval(secs => $1)
          AND EXISTS (SELECT FROM reflector.meeting m WHERE m.room_name = s.room_name)
        ORDER BY s.received_at
        LIMIT 500",
    )
    .bind(time.as_secs_f64())
    .fetch_all(db)
    .await
}

/// These are not strays any more.
pub async fn forget(db: &PgPool, ids: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query("-- whereby.strays.forget\nDELETE FROM reflector.whereby_stray WHERE id = ANY($1)")
        .bind(ids)
        .execute(db)
        .await
        .map(drop)
}

/// Removes those that are older than `time`; returns how many.
pub async fn remove_old(db: &PgPool, time: Duration) -> Result<u64, sqlx::Error> {
    sqlx::query(
        "-- whereby.strays.remove_old
        DELETE FROM reflector.whereby_stray WHERE received_at < now() - make_interval(secs => $1)",
    )
    .bind(time.as_secs_f64())
    .execute(db)
    .await
    .map(|done| done.rows_affected())
}
