//! Asking a database that may have gone silent: a host that vanished closes no connection.

use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgQueryResult, PgRow};
use sqlx::query::{Query, QueryAs};
use sqlx::{FromRow, PgConnection, PgPool, Postgres};
use tokio::time::timeout;

/// How long the database may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Does `work`; an outage when it takes longer than the database may.
pub async fn patiently<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let silence = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer");
        Err(sqlx::Error::Io(silence))
    })
}

/// Executes `query` on a connection of the pool, patiently.
pub(super) async fn execute(
    db: &PgPool,
    query: Query<'_, Postgres, PgArguments>,
) -> Result<PgQueryResult, sqlx::Error> {
    let mut loan = Loan::of(db).await?;
    patiently(async {
        let result = query.execute(loan.connection()).await;
        loan.has_ended = true;
        result
    })
    .await
}

/// The same for a query that has one row, or none.
pub(super) async fn fetch_optional<T>(
    db: &PgPool,
    query: QueryAs<'_, Postgres, T, PgArguments>,
) -> Result<Option<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut loan = Loan::of(db).await?;
    patiently(async {
        let result = query.fetch_optional(loan.connection()).await;
        loan.has_ended = true;
        result
    })
    .await
}

/// The same for a query that has any number of rows.
pub(super) async fn fetch_all<T>(
    db: &PgPool,
    query: QueryAs<'_, Postgres, T, PgArguments>,
) -> Result<Vec<T>, sqlx::Error>
where
    T: for<'r> FromRow<'r, PgRow> + Send + Unpin,
{
    let mut loan = Loan::of(db).await?;
    patiently(async {
        let result = query.fetch_all(loan.connection()).await;
        loan.has_ended = true;
        result
    })
    .await
}

/// A connection of the pool. One on which a query came to no end, for whatever reason, is closed: given back it would hold its place
/// in the pool until the database speaks again.
struct Loan {
    connection: Option<PoolConnection<Postgres>>,
    has_ended: bool,
}

impl Loan {
    async fn of(db: &PgPool) -> Result<Self, sqlx::Error> {
        Ok(Self { connection: Some(db.acquire().await?), has_ended: false })
    }

    fn connection(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect("a loan has its connection until it is dropped")
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.has_ended
            && let Some(connection) = self.connection.take()
        {
            drop(connection.detach());
        }
    }
}
