//! Rooms that are about to be made at Whereby.

use std::time::Duration;

use sqlx::{FromRow, PgConnection, PgExecutor, PgPool};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db::{meetings, rooms};
use crate::domain::meeting::Meeting;
use crate::domain::room::Room;
use crate::domain::whereby;

/// A room that is about to be made, or may have been made for nobody.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Intent {
    /// Its id.
    pub id: String,
    /// The room that the meeting is for.
    pub room_id: String,
    /// Whether visitors wait for this meeting; otherwise it is one beside others.
    pub is_exclusive: bool,
    /// What the room's name at Whereby begins with.
    pub prefix: String,
    /// Until when the room may be used, as Whereby is told.
    pub end_date: OffsetDateTime,
    /// What Whereby called it, where that is known.
    pub meeting_id: Option<String>,
}

/// What [`begin`] found.
#[derive(Debug)]
pub enum Begun {
    /// A meeting is on.
    Running(Meeting),
    /// The meeting is ours to make, in the room as it is now.
    Ours(Box<Room>, Intent),
    /// Somebody else is making it.
    Theirs,
}

/// What [`fulfil`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fulfilled {
    /// The meeting is there.
    Begun,
    /// Others have given up waiting for it. What was made is to be removed.
    TooLate,
    /// Its room is gone. What was made is to be removed.
    RoomGone,
}

/// Notes that a meeting is about to be made in the room, for `lease`; nobody else makes one for the same visitors meanwhile. An intent
/// that outlived its lease is nobody's any more. `None` when the room is gone.
pub async fn begin(
    db: &PgPool,
    room_id: &str,
    is_exclusive: bool,
    now: OffsetDateTime,
    end_date: OffsetDateTime,
    lease: Duration,
) -> Result<Option<Begun>, sqlx::Error> {
    let mut transaction = db.begin().await?;
    let Some(room) = rooms::lock(&mut *transaction, room_id).await? else { return Ok(None) };
    if is_exclusive {
        if let Some(meeting) = meetings::find_open(&mut *transaction, &room, now).await? {
            return Ok(Some(Begun::Running(meeting)));
        }
        give_up_expired(&mut *transaction, room_id).await?;
        if is_open(&mut *transaction, room_id).await? {
            transaction.commit().await?;
            return Ok(Some(Begun::Theirs));
        }
    }
    let intent = Intent {
        id: Uuid::new_v4().to_string(),
        room_id: room.id.clone(),
        is_exclusive,
        prefix: whereby::prefix(&room.name),
        end_date,
        meeting_id: None,
    };
    insert(&mut transaction, &intent, lease).await?;
    transaction.commit().await?;
    Ok(Some(Begun::Ours(Box::new(room), intent)))
}

async fn give_up_expired(db: impl PgExecutor<'_>, room_id: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- whereby.intents.give_up_expired
        UPDATE reflector.whereby_intent SET abandoned_at = clock_timestamp()
        WHERE room_id = $1 AND is_exclusive AND abandoned_at IS NULL AND leased_until < clock_timestamp()",
    )
    .bind(room_id)
    .execute(db)
    .await
    .map(drop)
}

/// Whether somebody is making a meeting in the room.
pub async fn is_open(db: impl PgExecutor<'_>, room_id: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "-- whereby.intents.is_open
        SELECT EXISTS (
          SELECT FROM reflector.whereby_intent WHERE room_id = $1 AND is_exclusive AND abandoned_at IS NULL
        )",
    )
    .bind(room_id)
    .fetch_one(db)
    .await
}

async fn insert(db: &mut PgConnection, intent: &Intent, lease: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- whereby.intents.insert
        INSERT INTO reflector.whereby_intent (id, room_id, is_exclusive, prefix, end_date, leased_until)
        VALUES ($1, $2, $3, $4, $5, clock_timestamp() + make_interval(secs => $6))",
    )
    .bind(&intent.id)
    .bind(&intent.room_id)
    .bind(intent.is_exclusive)
    .bind(&intent.prefix)
    .bind(intent.end_date)
    .bind(lease.as_secs_f64())
    .execute(db)
    .await
    .map(drop)
}

/// Stores the meeting that was made and ends the intent, both or none. When the commit's answer is lost, the intent is gone if it took
/// place and is given up in time if it did not.
pub async fn fulfil(db: &PgPool, intent: &Intent, meeting: &Meeting) -> Result<Fulfilled, sqlx::Error> {
    let mut transaction = db.begin().await?;
    if rooms::lock(&mut *transaction, &intent.room_id).await?.is_none() {
        return Ok(Fulfilled::RoomGone);
    }
    if !take(&mut *transaction, &intent.id).await? {
        return Ok(Fulfilled::TooLate);
    }
    meetings::insert(&mut *transaction, meeting).await?;
    transaction.commit().await?;
    Ok(Fulfilled::Begun)
}

/// Ends the intent; false when it was given up.
async fn take(db: impl PgExecutor<'_>, id: &str) -> Result<bool, sqlx::Error> {
    let taken = sqlx::query(
        "-- whereby.intents.take
        DELETE FROM reflector.whereby_intent WHERE id = $1 AND abandoned_at IS NULL",
    )
    .bind(id)
    .execute(db)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Forgets an intent of which nothing is left at Whereby.
pub async fn forget(db: impl PgExecutor<'_>, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("-- whereby.intents.forget\nDELETE FROM reflector.whereby_intent WHERE id = $1")
        .bind(id)
        .execute(db)
        .await
        .map(drop)
}

/// Nobody will use what the intent made, or may have made; `meeting_id` is what Whereby called it. One that was forgotten already is
/// noted again.
pub async fn abandon(db: &PgPool, intent: &Intent, meeting_id: Option<&str>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- whereby.intents.abandon
        INSERT INTO reflector.whereby_intent AS i (
          id, room_id, is_exclusive, prefix, end_date, leased_until, abandoned_at, meeting_id
        ) VALUES ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp(), $6)
        ON CONFLICT (id) DO UPDATE SET
          abandoned_at = COALESCE(i.abandoned_at, EXCLUDED.abandoned_at),
          meeting_id = COALESCE(EXCLUDED.meeting_id, i.meeting_id)",
    )
    .bind(&intent.id)
    .bind(&intent.room_id)
    .bind(intent.is_exclusive)
    .bind(&intent.prefix)
    .bind(intent.end_date)
    .bind(meeting_id)
    .execute(db)
    .await
    .map(drop)
}

/// Gives up every intent that outlived its lease: whoever had it is gone.
pub async fn give_up_all_expired(db: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- whereby.intents.give_up_all_expired
        UPDATE reflector.whereby_intent SET abandoned_at = clock_timestamp()
        WHERE abandoned_at IS NULL AND leased_until < clock_timestamp()",
    )
    .execute(db)
    .await
    .map(drop)
}

/// An intent that was given up.
#[derive(Debug, FromRow)]
pub struct Abandoned {
    /// The intent.
    #[sqlx(flatten)]
    pub intent: Intent,
    /// Whether that is so long ago that what it asked for would be there by now.
    pub is_settled: bool,
}

/// The intents that were given up first, without those that look to Whereby like one that somebody is at. `settling` is how long Whereby may take to do what it was asked without an answer.
pub async fn abandoned(db: &PgPool, settling: Duration) -> Result<Vec<Abandoned>, sqlx::Error> {
    sqlx::query_as(
        "-- whereby.intents.abandoned
        SELECT id, room_id, is_exclusive, prefix, end_date, meeting_id,
          abandoned_at < clock_timestamp() - make_interval(secs => $1) AS is_settled
        FROM reflector.whereby_intent i
        WHERE abandoned_at IS NOT NULL AND NOT EXISTS (
          SELECT FROM reflector.whereby_intent o
          WHERE o.abandoned_at IS NULL AND o.prefix = i.prefix AND o.end_date = i.end_date
        )
        ORDER BY abandoned_at
        LIMIT 100",
    )
    .bind(settling.as_secs_f64())
    .fetch_all(db)
    .await
}
