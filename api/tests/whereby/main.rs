//! Meetings at Whereby: rooms that are made there once and for somebody, and webhooks that come from there. On a real Postgres, with a
//! Whereby built from what Whereby publishes.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod app;
mod chaos;
mod check;
mod crash;
mod creation;
mod failures;
mod guide;
mod limits;
mod ops;
mod people;
mod sessions;
mod webhooks;
