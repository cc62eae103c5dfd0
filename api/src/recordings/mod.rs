//! Recordings in the object storage, whoever made them.
//!
//! - [`consumer`]: takes what the storage tells of its objects from a queue.

pub mod consumer;
