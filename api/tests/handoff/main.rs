//! What the service does on its own: periodic work, meetings that begin and end, webhooks that go out to a real receiver.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod app;
mod crash;
mod jobs;
mod lifecycle;
mod receiver;
mod recordings;
mod webhooks;
mod whereby;
