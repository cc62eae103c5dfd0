//! The service's database: the Postgres that it runs itself, killed and stopped in every way; a schema of an earlier or a later
//! release; and how statements are planned.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

mod client;
mod embedded;
mod explain;
mod load;
#[path = "../support/postgres.rs"]
mod postgres;
mod program;
mod service;
mod setup;
mod statements;
mod stop;
mod upgrade;
#[path = "../support/wait.rs"]
mod wait;
