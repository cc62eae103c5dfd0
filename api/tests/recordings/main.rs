//! Recordings in a bucket that notifies a queue: found, missed, looked for, withheld, removed. Real Postgres, and moto for bucket and queue.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;

#[expect(dead_code, reason = "the webhooks' own tests use the rest")]
#[path = "../handoff/receiver.rs"]
mod receiver;

mod consent;
mod crash;
mod guide;
mod queue;
mod retention;
mod scan;
mod scene;
mod signature;
mod state;
