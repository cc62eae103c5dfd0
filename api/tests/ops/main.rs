//! What operators see: receipts of deliveries, and the pages under `/ops`. On a real Postgres, through the router.

#![expect(clippy::unwrap_used, reason = "what a test cannot go on without fails the test")]

mod access;
mod app;
mod pages;
mod receipts;
mod refusals;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "other test binaries use the rest of it")]
mod support;
