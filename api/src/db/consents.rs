//! Consent to being recorded.

use sqlx::PgPool;
use time::OffsetDateTime;

/// Stores what somebody answered, in place of what the same user answered before. The answer's id, or `None` when there is no such
/// meeting.
pub async fn give(
    db: &PgPool,
    id: &str,
    meeting_id: &str,
    user_id: Option<&str>,
    given: bool,
    now: OffsetDateTime,
) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "-- consents.give
        INSERT INTO reflector.meeting_consent (id, meeting_id, user_id, consent_given, consent_timestamp)
        SELECT $1, meeting.id, $3, $4, $5 FROM reflector.meeting WHERE meeting.id = $2 FOR KEY SHARE
        ON CONFLICT ON CONSTRAINT meeting_consent_user
        DO UPDATE SET consent_given = excluded.consent_given, consent_timestamp = excluded.consent_timestamp
        RETURNING id",
    )
    .bind(id)
    .bind(meeting_id)
    .bind(user_id)
    .bind(given)
    .bind(now)
    .fetch_optional(db)
    .await
}
