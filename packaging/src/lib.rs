//! What the packages hold beyond the two programs, and the proof that they work on a fresh host.
//!
//! 1. [`programs`] are the two command lines, from which [`completions`] are made.
//! 2. [`documents`] writes all of them into a directory, for `packaging/build`.
//!
//! The programs know nothing of this crate.

pub mod completions;
pub mod documents;
pub mod programs;
