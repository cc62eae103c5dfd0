//! What people's programs get from the service: rooms, meetings, and who may have them. On a real Postgres, through the router.

mod app;
mod auth;
mod events;
mod jwks;
mod meetings;
mod rooms;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod support;
