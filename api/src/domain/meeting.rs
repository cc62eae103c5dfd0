//! Meetings: when one is reused and what it holds.
