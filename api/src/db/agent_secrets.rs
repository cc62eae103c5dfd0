//! Agents with a secret of their own.

use sqlx::PgPool;
use time::OffsetDateTime;

/// An agent that may sign.
#[derive(Debug, sqlx::FromRow)]
pub struct Enrolled {
    /// What it calls itself.
    pub name: String,
    /// What its secret is derived from, beside the service's key.
    pub salt: String,
}

/// An agent that may sign, or once might.
#[derive(Debug, sqlx::FromRow)]
pub struct Listed {
    /// What it calls itself.
    pub name: String,
    /// Since when it has its secret.
    pub enrolled_at: OffsetDateTime,
    /// Since when the secret is not accepted any more, if it is not.
    pub revoked_at: Option<OffsetDateTime>,
}

/// Lets an agent sign. False when it may already; one that was revoked gets a new salt, and with it a new secret.
pub async fn enroll(db: &PgPool, name: &str, salt: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "-- agent_secrets.enroll
        INSERT INTO reflector.agent_secret AS a (name, salt) VALUES ($1, $2)
        ON CONFLICT (name) DO UPDATE SET salt = EXCLUDED.salt, enrolled_at = now(), revoked_at = NULL
        WHERE a.revoked_at IS NOT NULL",
    )
    .bind(name)
    .bind(salt)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Accepts an agent's secret no more. False when there is no such agent, or it was revoked before.
pub async fn revoke(db: &PgPool, name: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "-- agent_secrets.revoke
        UPDATE reflector.agent_secret SET revoked_at = now() WHERE name = $1 AND revoked_at IS NULL",
    )
    .bind(name)
    .execute(db)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Every agent that may sign.
pub async fn enrolled(db: &PgPool) -> Result<Vec<Enrolled>, sqlx::Error> {
    sqlx::query_as(
        "-- agent_secrets.enrolled
        SELECT name, salt FROM reflector.agent_secret WHERE revoked_at IS NULL",
    )
    .fetch_all(db)
    .await
}

/// Every agent that was ever enrolled, by name.
pub async fn list(db: &PgPool) -> Result<Vec<Listed>, sqlx::Error> {
    sqlx::query_as(
        "-- agent_secrets.list
        SELECT name, enrolled_at, revoked_at FROM reflector.agent_secret ORDER BY name",
    )
    .fetch_all(db)
    .await
}
