//! What `reflector-agent` and `reflector-api` ask of the host they run on.
//!
//! Both are services of systemd, and what they do as such they do in the same way.
//!
//! - [`journal`]: log lines for the journal, each with its fields.
//! - [`notify`]: what the service manager is told.
//! - [`pulse`]: by what loops show that they turn; [`watchdog`]: feeds the service manager's watchdog while they do.
//!
//! Nothing here knows what the programs are for: it knows neither events nor their configuration.

pub mod journal;
pub mod notify;
pub mod pulse;
pub mod watchdog;
