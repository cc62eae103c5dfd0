//! What the packages hold beyond the two programs, and the proof that they work on a fresh host.
//!
//! 1. [`programs`] are the two command lines, from which [`completions`] and [`manuals`] are made; [`facts`] is what they do not know.
//! 2. [`settings`] reads the commented examples of `packaging/examples`, from which manuals of the settings are made.
//! 3. [`third_party`] says what the programs are linked with, and its licences.
//! 4. [`documents`] writes all of them into a directory, for `packaging/build`.
//! 5. [`machine`] is a fresh Debian to install them on, and [`handbook`] what operators are told to do there.
//!
//! The programs know nothing of this crate.

pub mod completions;
pub mod documents;
pub mod facts;
pub mod handbook;
pub mod machine;
pub mod manuals;
pub mod programs;
pub mod settings;
mod synopsis;
pub mod third_party;
