//! What `reflector-agent` and `reflector-api` ask of the host they run on.
//!
//! Both are services of systemd, and what they do as such they do in the same way.
//!
//! - [`journal`]: log lines for the journal, each with its fields.
//! - [`notify`]: what the service manager is told.
//! - [`pulse`]: by what loops show that they turn; [`watchdog`]: feeds the service manager's watchdog while they do.
//! - [`service`]: starts a service, for the command that has set it up.
//! - [`durable`]: files that are there whole or not at all; [`terminal`]: asks a person.
//!
//! Nothing here knows what the programs are for: it knows neither events nor their configuration.

pub mod durable;
pub mod journal;
pub mod notify;
pub mod pulse;
pub mod service;
pub mod terminal;
pub mod watchdog;
