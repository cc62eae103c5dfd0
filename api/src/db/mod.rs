//! Every SQL statement, and the Postgres that is started when none is configured.
//!
//! A function here is one statement or one transaction; its SQL begins with its name in a comment, so that
//! `pg_stat_activity` says who asks. Nothing here knows HTTP.

use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, PgPool};

pub mod agent_secrets;
pub mod agents;
pub mod api_keys;
pub mod bucket_scans;
pub mod connect;
pub mod consents;
pub mod embedded;
pub mod event_page;
pub mod events;
pub mod jobs;
pub mod lifecycle;
pub mod meetings;
pub mod ops;
pub mod ops_recordings;
pub mod ops_webhooks;
pub mod patience;
pub mod receipts;
pub mod record;
pub mod recordings;
pub mod rooms;
mod setting;
pub mod uploads;
pub mod webhook_deliveries;
pub mod whereby;

/// The schema's history, compiled in.
pub static MIGRATIONS: Migrator = sqlx::migrate!();

/// The most connections that one process opens.
const MAX_CONNECTIONS: u32 = 10;

/// How long a request waits for a connection before it is answered with 503.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// Options for the server at `url`. Statements are not logged: a slow one comes back as an outage or a late answer, which are.
pub fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    Ok(PgConnectOptions::from_str(url)?.application_name("reflector-api").disable_statement_logging())
}

/// A pool that connects when it is first used.
pub fn pool(options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(MAX_CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .connect_lazy_with(options)
}

/// Brings the schema up to date, one process at a time. Refuses a database that a newer release has changed.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    let mut connection = pool.acquire().await?.detach();
    // The list of migrations has no schema in its name, and must be looked for where the first migration left it. That it is
    // there already is no news.
    sqlx::query(
        "-- migrate\nSELECT set_config('search_path', 'public', false), set_config('client_min_messages', 'warning', false)",
    )
    .execute(&mut connection)
    .await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Whether `error` says that the database cannot be reached or is not ready, as opposed to refusing what it was asked.
///
/// Such an error does not tell whether a commit took place; repeating is safe because ids are stored once.
pub fn is_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| is_outage_state(&code)),
        _ => false,
    }
}

/// SQLSTATE classes: 08 connection, 53 out of resources, 57P administrator's stop and start-up, 58 system error, 25006 standby,
/// 40 deadlock or serialisation (the statement may simply be repeated).
fn is_outage_state(code: &str) -> bool {
    ["08", "40", "53", "57P", "58"].iter().any(|class| code.starts_with(class)) || code == "25006"
}

/// Whether `error` is an objection to values: class 21 (two that are to become one row), 22 (data), 23 (constraints) and 54 (limits).
pub fn is_about_data(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| ["21", "22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

/// Asks the database for a sign of life.
pub async fn ping(pool: &PgPool) -> Result<(), sqlx::Error> {
    sqlx::query("-- db.ping\nSELECT 1").execute(pool).await.map(drop)
}
