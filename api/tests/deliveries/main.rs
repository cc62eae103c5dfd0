//! What Jitsi hosts get from the service: events and recordings, stored once and answered after the commit. On a real Postgres,
//! through the router.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod app;
mod bad_input;
mod endings;
mod fold;
mod frontends;
mod ingest;
mod reading;
mod recordings;
mod way_in;
