//! What `reflector-agent` and `reflector-api` ask of the host they run on.
//!
//! Both are services of systemd, and what they do as such they do in the same way.
//!
//! - [`journal`]: log lines for the journal, each with its fields.
//!
//! Nothing here knows what the programs are for: it knows neither events nor their configuration.

pub mod journal;
