//! What this host's Jibri says of itself: where it keeps recordings, and whether it is busy.
//!
//! Everything here is a help and nothing is needed: without an answer the agent goes by what it is configured to, by
//! where recordings customarily are, and by the files themselves.

pub mod configuration;
pub mod health;
pub mod roots;
