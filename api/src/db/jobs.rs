//! Leases of periodic work. All times are the database's, so that replicas need no common clock.

use std::time::Duration;

use sqlx::PgPool;

use super::patience;

/// What became of an attempt to begin a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The run is the caller's.
    Granted,
    /// It is not due, or somebody else is at it; worth another attempt after this time.
    NotYet(Duration),
}

/// Begins a run of `job` for `holder`, if it is due and nobody else is at it. The lease ends after `term` unless it is renewed; the
/// next run is due `pause` after this one began.
pub async fn claim(
    db: &PgPool,
    job: &str,
    holder: &str,
    term: Duration,
    pause: Duration,
) -> Result<Claim, sqlx::Error> {
    let granted = patience::execute(
        db,
        sqlx::query(
            "-- jobs.claim
            INSERT INTO reflector.job AS job (name, holder, leased_until, next_at, last_started_at)
            VALUES ($1, $2, now() + make_interval(secs => $3), now() + make_interval(secs => $4), now())
            ON CONFLICT (name) DO UPDATE SET
              holder = EXCLUDED.holder,
              leased_until = EXCLUDED.leased_until,
              next_at = EXCLUDED.next_at,
              last_started_at = EXCLUDED.last_started_at
            WHERE job.next_at <= now() AND (job.leased_until IS NULL OR job.leased_until <= now())",
        )
        .bind(job)
        .bind(holder)
        .bind(term.as_secs_f64())
        .bind(pause.as_secs_f64()),
    )
    .await?;
    if granted.rows_affected() == 1 {
        return Ok(Claim::Granted);
    }
    let left: Option<(f64,)> = patience::fetch_optional(
        db,
        sqlx::query_as(
            "-- jobs.claim
            SELECT extract(epoch FROM GREATEST(next_at, leased_until) - now())::float8 FROM reflector.job WHERE name = $1",
        )
        .bind(job),
    )
    .await?;
    let left = left.map_or(0.0, |(seconds,)| seconds.max(0.0));
    Ok(Claim::NotYet(Duration::try_from_secs_f64(left).unwrap_or_default()))
}

/// Keeps the lease for another `term`. `false` when it is not the holder's any more.
pub async fn renew(db: &PgPool, job: &str, holder: &str, term: Duration) -> Result<bool, sqlx::Error> {
    let query = sqlx::query(
        "-- jobs.renew
        UPDATE reflector.job SET leased_until = now() + make_interval(secs => $3)
        WHERE name = $1 AND holder = $2 AND leased_until > now()",
    )
    .bind(job)
    .bind(holder)
    .bind(term.as_secs_f64());
    Ok(patience::execute(db, query).await?.rows_affected() == 1)
}

/// Ends the holder's run with what came of it.
pub async fn finish(
    db: &PgPool,
    job: &str,
    holder: &str,
    succeeded: bool,
    outcome: &str,
) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "-- jobs.finish
        UPDATE reflector.job
        SET holder = NULL, leased_until = NULL, last_ended_at = now(), last_succeeded = $3, last_outcome = $4
        WHERE name = $1 AND holder = $2",
    )
    .bind(job)
    .bind(holder)
    .bind(succeeded)
    .bind(outcome);
    patience::execute(db, query).await.map(drop)
}

/// Gives a run up that was cut short: it is due again, for whoever comes first.
pub async fn release(db: &PgPool, job: &str, holder: &str) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "-- jobs.release
        UPDATE reflector.job SET holder = NULL, leased_until = NULL, next_at = now() WHERE name = $1 AND holder = $2",
    )
    .bind(job)
    .bind(holder);
    patience::execute(db, query).await.map(drop)
}

/// Makes a run due now, also when one is under way.
pub async fn hasten(db: &PgPool, job: &str) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "-- jobs.hasten
        UPDATE reflector.job SET next_at = LEAST(next_at, now()) WHERE name = $1",
    )
    .bind(job);
    patience::execute(db, query).await.map(drop)
}
