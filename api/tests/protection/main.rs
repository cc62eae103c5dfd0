//! What callers may not do: bad tokens, wrong secrets, floods, connections that stall. On a real Postgres, through the router or over
//! real connections.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails the test")]

mod agents;
mod app;
mod connections;
mod limits;
mod logs;
mod metrics;
mod routes;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod support;
mod tokens;
mod traces;
