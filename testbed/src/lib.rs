//! A Jitsi host in a box, and the two ends to measure the product between.
//!
//! Receiving and measuring:
//! - [`sink`]: a receiver for the agent's deliveries that remembers every id and misbehaves on demand.
//! - [`wait`]: the one way in which anything here waits.

pub mod sink;
pub mod wait;
