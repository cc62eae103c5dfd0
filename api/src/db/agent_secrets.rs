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
    /// When a host was last heard of that signed with it.
    pub heard_at: Option<OffsetDateTime>,
}

/// A host that signs with the secret that all hosts share.
#[derive(Debug, sqlx::FromRow)]
pub struct Sharing {
    /// The host's name.
    pub host: String,
    /// When it was last heard of.
    pub heard_at: OffsetDateTime,
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
        SELECT s.name, s.enrolled_at, s.revoked_at, max(a.last_seen_at) AS heard_at
        FROM reflector.agent_secret s LEFT JOIN reflector.agent a ON a.enrolled_as = s.name
        GROUP BY s.name ORDER BY s.name",
    )
    .fetch_all(db)
    .await
}

/// Every host that signs with the secret that all hosts share.
pub async fn sharing(db: &PgPool) -> Result<Vec<Sharing>, sqlx::Error> {
    sqlx::query_as(
        "-- agent_secrets.sharing
        SELECT host, last_seen_at AS heard_at FROM reflector.agent WHERE enrolled_as IS NULL ORDER BY host, host_id",
    )
    .fetch_all(db)
    .await
}
