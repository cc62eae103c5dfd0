//! Recordings that start by rule: the event module in a real Prosody, tokens as the API makes them, focus that answers.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod focus;
mod reload;
mod rules;
mod stage;
mod whole;
