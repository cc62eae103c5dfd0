//! Whereby's points, of which all replicas together have so many a minute.

use std::time::Duration;

use sqlx::PgPool;

/// Takes `cost` points, of `per_minute` that come back in a minute, if `reserve` are left then. Otherwise the wait until they are.
pub async fn take(
    db: &PgPool,
    cost: u32,
    per_minute: u32,
    reserve: u32,
) -> Result<Result<(), Duration>, sqlx::Error> {
    let taken: Option<bool> = sqlx::query_scalar(
        "-- whereby.budget.take
        UPDATE reflector.whereby_budget SET
          points = LEAST($2, points + GREATEST(0, EXTRACT(epoch FROM clock_timestamp() - counted_at)) * $2 / 60) - $1,
          counted_at = clock_timestamp()
        WHERE closed_until <= clock_timestamp()
          AND LEAST($2, points + GREATEST(0, EXTRACT(epoch FROM clock_timestamp() - counted_at)) * $2 / 60) >= $1 + $3
        RETURNING true",
    )
    .bind(f64::from(cost))
    .bind(f64::from(per_minute))
    .bind(f64::from(reserve))
    .fetch_optional(db)
    .await?;
    if taken.is_some() {
        return Ok(Ok(()));
    }
    let wait: f64 = sqlx::query_scalar(
        "-- whereby.budget.wait
        SELECT GREATEST(
          0,
          EXTRACT(epoch FROM closed_until - clock_timestamp()),
          ($1 + $3 - points) * 60 / $2 - EXTRACT(epoch FROM clock_timestamp() - counted_at)
        )::float8
        FROM reflector.whereby_budget",
    )
    .bind(f64::from(cost))
    .bind(f64::from(per_minute))
    .bind(f64::from(reserve))
    .fetch_one(db)
    .await?;
    Ok(Err(Duration::try_from_secs_f64(wait).unwrap_or_default()))
}

/// Whereby wants to be left alone for so long; nobody has any points until then.
pub async fn close(db: &PgPool, wait: Duration) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- whereby.budget.close
        UPDATE reflector.whereby_budget
        SET closed_until = GREATEST(closed_until, clock_timestamp() + make_interval(secs => $1))",
    )
    .bind(wait.as_secs_f64())
    .execute(db)
    .await
    .map(drop)
}
