//! Metrics: numbers about what the agent did, in Prometheus' text format.
//!
//! A log event that carries a field `count.NAME` or `observe.NAME` is at the same time the metric NAME: [`Counting`] is a
//! layer of `tracing` that adds up these fields, also of events that the log's filter hides. So the journal and the
//! numbers cannot disagree, and there is one place in the code for both:
//!
//! ```
//! tracing::warn!(count.parked = 2, room = "reflector-a", "deliveries wait for a person");
//! ```
//!
//! What is so *now* (the backlog, its age, its bytes) is not counted but read from the outbox when somebody asks:
//! [`render()`].

mod catalogue;
mod counting;
mod render;

pub use self::catalogue::{COUNTED, Counted, GAUGES, Gauge, Kind};
pub use self::counting::Counting;
pub use self::render::{Now, render};
