//! The overlay for docker-jitsi-meet: what it makes of a stock compose file, and that its image delivers.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod engine;
mod image;
mod merged;
mod overlay;
