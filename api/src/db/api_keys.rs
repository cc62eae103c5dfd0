//! API keys.

use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use crate::domain::identity::Identity;

/// What is known of a key, apart from the key.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct ApiKeyRecord {
    /// The key's id, a UUID as text.
    pub id: String,
    /// Whose it is.
    pub user_id: String,
    /// What the user calls it, if anything.
    pub name: Option<String>,
    /// When it was made.
    pub created_at: OffsetDateTime,
}

/// Stores a new key of `owner`, unless they have `most` already. Whether it was stored.
pub async fn create(
    db: &PgPool,
    key: &ApiKeyRecord,
    owner: &Identity,
    digest: &[u8; 32],
    most: u32,
) -> Result<bool, sqlx::Error> {
    let mut transaction = db.begin().await?;
    // Requests at the same time count one after the other.
    sqlx::query("-- api_keys.create: lock\nSELECT pg_advisory_xact_lock(hashtext('api_key'), hashtext($1))")
        .bind(&key.user_id)
        .execute(&mut *transaction)
        .await?;
    let stored = sqlx::query(
        "-- api_keys.create
        INSERT INTO reflector.api_key (id, user_id, user_name, user_email, name, digest, created_at)
        SELECT $1, $2, $3, $4, $5, $6, $7
        WHERE (SELECT count(*) FROM reflector.api_key WHERE user_id = $2) < $8",
    )
    .bind(&key.id)
    .bind(&key.user_id)
    .bind(&owner.name)
    .bind(&owner.email)
    .bind(&key.name)
    .bind(digest.as_slice())
    .bind(key.created_at)
    .bind(i64::from(most))
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(stored.rows_affected() > 0)
}

/// Whose key has this digest; `None` when nobody's has.
pub async fn find_owner(db: &PgPool, digest: &[u8; 32]) -> Result<Option<Identity>, sqlx::Error> {
    let found: Option<(String, Option<String>, Option<String>)> = sqlx::query_as(
        "-- api_keys.find_owner
        SELECT user_id, user_name, user_email FROM reflector.api_key WHERE digest = $1",
    )
    .bind(digest.as_slice())
    .fetch_optional(db)
    .await?;
    Ok(found.map(|(user_id, name, email)| Identity { user_id, name, email }))
}

/// The keys of a user, newest first.
pub async fn list(db: &PgPool, user_id: &str) -> Result<Vec<ApiKeyRecord>, sqlx::Error> {
    sqlx::query_as(
        "-- api_keys.list
        SELECT id, user_id, name, created_at FROM reflector.api_key WHERE user_id = $1 ORDER BY created_at DESC, id",
    )
    .bind(user_id)
    .fetch_all(db)
    .await
}

/// Removes a key of this user's. Whether there was one.
pub async fn delete(db: &PgPool, id: &str, user_id: &str) -> Result<bool, sqlx::Error> {
    let deleted =
        sqlx::query("-- api_keys.delete\nDELETE FROM reflector.api_key WHERE id = $1 AND user_id = $2")
            .bind(id)
            .bind(user_id)
            .execute(db)
            .await?;
    Ok(deleted.rows_affected() > 0)
}
