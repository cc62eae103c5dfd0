//! What only meetings at Whereby need: rooms that are about to be made, webhooks without a meeting, points, counts.

pub mod budget;
pub mod counts;
pub mod intents;
pub mod strays;
