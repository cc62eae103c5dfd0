//! What the service manager (systemd) is told: that the service serves, in words how it is, and that it still makes progress.
//!
//! - `notify`: the messages; nothing happens where nobody listens.
//! - [`pulse`]: the signs of life of the loops that must turn.
//! - `watchdog`: feeds the service manager's watchdog while they do.

mod notify;
pub mod pulse;
mod watchdog;

pub(crate) use notify::{patiently, ready, say, stopping};
pub(crate) use watchdog::feed;
