//! Agents, as they last described themselves.

use contract::heartbeat::{Heartbeat, Role};
use sqlx::PgPool;

/// Keeps what an agent says of itself, in place of what it said before. `body` is the whole heartbeat as it arrived.
pub async fn note(db: &PgPool, heartbeat: &Heartbeat, body: &str) -> Result<(), sqlx::Error> {
    let roles: Vec<_> = heartbeat.roles.iter().map(|role| role_name(*role)).collect();
    sqlx::query(
        "-- agents.note
        INSERT INTO reflector.agent (host_id, host, version, roles, started_at, sent_at, heartbeat)
        VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb)
        ON CONFLICT (host_id) DO UPDATE SET
          host = EXCLUDED.host, version = EXCLUDED.version, roles = EXCLUDED.roles, started_at = EXCLUDED.started_at,
          sent_at = EXCLUDED.sent_at, last_seen_at = now(), heartbeat = EXCLUDED.heartbeat",
    )
    .bind(&heartbeat.host_id)
    .bind(&heartbeat.host)
    .bind(&heartbeat.version)
    .bind(roles)
    .bind(heartbeat.started_at)
    .bind(heartbeat.sent_at)
    .bind(body)
    .execute(db)
    .await
    .map(drop)
}

fn role_name(role: Role) -> &'static str {
    match role {
        Role::Prosody => "prosody",
        Role::Jibri => "jibri",
        Role::Other => "other",
    }
}
