//! The event module in a real Prosody: which events it writes, in which order, and what it does when it cannot write.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod lifecycle;
mod meetings;
mod outages;
mod scene;
mod tokens;
