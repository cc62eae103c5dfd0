//! What other shippers lose, and the agent must not: every way of losing events that `docs/performance.md` lists, each
//! against the real agent, in the middle of work.
//!
//! In every test: no line is lost, nothing arrives that was not written, an event that arrives twice has the same id,
//! and the first arrivals of a room are in the order of its lines.

#![expect(clippy::unwrap_used, reason = "a failed step of a test ends the test")]

mod crashes;
mod limits;
mod outages;
mod refusals;
mod rotations;
mod stand;
