//! Recording files on their way into a real S3 server: offered, sent in parts, verified, offered for download. And heartbeats.

#![expect(clippy::unwrap_used, reason = "a test whose scene cannot be set has failed")]

#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod begin;
mod clean_up;
mod crash;
mod download;
mod heartbeat;
mod listing;
mod scene;
mod trouble;
mod verify;
