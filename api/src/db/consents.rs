//! Consent to being recorded. What it means for a meeting's recordings the database notes on them in the same transaction.

use sqlx::PgPool;
use time::OffsetDateTime;

use crate::domain::consent;

/// What became of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// It is stored under this id.
    Stored(String),
    /// The meeting has been over for too long.
    TooLate,
}

/// Stores what somebody answered, in place of what the same user answered before. `None` when there is no such meeting.
pub async fn give(
    db: &PgPool,
    id: &str,
    meeting_id: &str,
    user_id: Option<&str>,
    given: bool,
    now: OffsetDateTime,
) -> Result<Option<Given>, sqlx::Error> {
    let mut transaction = db.begin().await?;
    // Until the answer is stored, nobody ends the meeting or stores a recording of it.
    let ended_at: Option<Option<OffsetDateTime>> = sqlx::query_scalar(
        "-- consents.lock_meeting
        SELECT ended_at FROM reflector.meeting WHERE id = $1 FOR NO KEY UPDATE",
    )
    .bind(meeting_id)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some(ended_at) = ended_at else { return Ok(None) };
    if !consent::counts(ended_at, now) {
        return Ok(Some(Given::TooLate));
    }
    let stored = sqlx::query_scalar(
        "-- consents.give
        INSERT INTO reflector.meeting_consent (id, meeting_id, user_id, consent_given, consent_timestamp)
        VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT ON CONSTRAINT meeting_consent_user
        DO UPDATE SET consent_given = excluded.consent_given, consent_timestamp = excluded.consent_timestamp
        RETURNING id",
    )
    .bind(id)
    .bind(meeting_id)
    .bind(user_id)
    .bind(given)
    .bind(now)
    .fetch_one(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(Some(Given::Stored(stored)))
}
