//! Presence: who was in a meeting, folded from events.
