//! The agent's own words to the service manager.

pub use host::notify::{is_managed, reloading};

use crate::config::Finding;

/// Everything runs.
pub fn ready() {
    host::notify::ready(None);
}

/// The agent was told to stop.
pub fn stopping() {
    host::notify::stopping("Stops: requests on their way are waited for");
}

/// The agent has stopped in order. The service manager goes on showing what was said last.
pub fn stopped() {
    host::notify::status("Stopped; what waits is sent after the next start");
}

/// The agent cannot start with this configuration. The service manager goes on showing it when the agent has ended.
pub fn misconfigured(findings: &[Finding]) {
    host::notify::status(&super::words::misconfigured(findings));
}
