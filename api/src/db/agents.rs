//! Agents, as they last described themselves.

use contract::heartbeat::{Heartbeat, Role};
use sqlx::PgPool;

/// Keeps what an agent says of itself, in place of what it said before. `body` is the whole heartbeat as it arrived, `enrolled_as` the
/// name of whoever signed it, if that was not the secret that all hosts share.
///
/// One that is older than what is there comes late, or a second time, and changes nothing; unless nothing has come for ten minutes: then
/// the agent's clock was set back. Agents that were not heard of for four weeks are forgotten.
pub async fn note(
    db: &PgPool,
    heartbeat: &Heartbeat,
    body: &str,
    enrolled_as: Option<&str>,
) -> Result<(), sqlx::Error> {
    let roles: Vec<_> = heartbeat.roles.iter().map(|role| role_name(*role)).collect();
    sqlx::query(
        "-- agents.note
        WITH forgotten AS (
          DELETE FROM reflector.agent WHERE host_id IN (
            SELECT host_id FROM reflector.agent WHERE host_id <> $1 AND last_seen_at < now() - interval '28 days'
            FOR UPDATE SKIP LOCKED
          )
        )
        INSERT INTO reflector.agent AS a (host_id, host, version, roles, started_at, sent_at, heartbeat, enrolled_as)
        VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8)
        ON CONFLICT (host_id) DO UPDATE SET
          host = EXCLUDED.host, version = EXCLUDED.version, roles = EXCLUDED.roles, started_at = EXCLUDED.started_at,
          sent_at = EXCLUDED.sent_at, last_seen_at = now(), heartbeat = EXCLUDED.heartbeat,
          enrolled_as = EXCLUDED.enrolled_as
        WHERE a.sent_at <= EXCLUDED.sent_at OR a.last_seen_at < now() - interval '10 minutes'",
    )
    .bind(&heartbeat.host_id)
    .bind(&heartbeat.host)
    .bind(&heartbeat.version)
    .bind(roles)
    .bind(heartbeat.started_at)
    .bind(heartbeat.sent_at)
    .bind(body)
    .bind(enrolled_as)
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
