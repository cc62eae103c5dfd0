//! What the service manager (systemd) is told: that the service serves, in words how it is, and that it still makes progress.
//!
//! - `start`: takes the time that a start needs.
//! - `watchdog`: has the service manager's watchdog fed while every loop turns ([`host::pulse`]).

mod start;
mod watchdog;

pub(crate) use host::notify::status as say;
pub(crate) use start::patiently;
pub(crate) use watchdog::feed;

/// The service serves.
pub(crate) fn ready(status: &str) {
    host::notify::ready(Some(status));
}

/// The service stops because it was asked to.
pub(crate) fn stopping() {
    host::notify::stopping("finishing what is under way");
}
