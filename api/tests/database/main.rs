//! The service with the Postgres that it runs itself: the real program, killed and stopped in every way.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

mod client;
mod embedded;
mod load;
mod program;
mod stop;
#[path = "../support/wait.rs"]
mod wait;
