//! What the service manager is told: that the agent runs, how it does, and that its loops get round.
//!
//! The watchdog is fed only while every loop does ([`host::pulse`]). An API that is away, or an upload that takes hours, is
//! no reason to be started again; a disk that does not return from a flush is. Where nobody manages the agent, nothing of
//! this happens.

pub mod notify;
mod report;
mod start;
mod words;

pub use self::report::Report;
pub use self::start::patiently;
