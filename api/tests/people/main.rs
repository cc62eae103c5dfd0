//! What people's programs get from the service: rooms, meetings, and who may have them. On a real Postgres, through the router.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails the test")]

mod api_keys;
mod app;
mod auth;
mod calendar;
mod changes;
mod common;
mod events;
mod guides;
mod jwks;
mod meetings;
mod replicas;
mod rooms;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod support;
mod webhook_test;
