//! `packaging/apt/build`: what apt itself makes of the repository, with its state in a directory of the test.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod archive;
mod client;
mod keys;
mod served;
mod server;
mod tampered;
