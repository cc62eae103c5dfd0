//! Recordings in the object storage, whoever made them.
//!
//! - [`consumer`]: takes what the storage tells of its objects from a queue.
//! - [`scan`]: looks through the buckets for what nobody has told of.
//! - [`seek`]: the same where a bucket may not be listed, for what was announced.
//! - [`clean_up`]: removes what is not to be kept.

pub mod clean_up;
pub mod consumer;
pub mod scan;
pub mod seek;
