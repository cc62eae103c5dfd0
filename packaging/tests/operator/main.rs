//! The packages as an operator meets them: `docs/operations.md` followed to the letter, on fresh Debian systems.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod database;
mod manual;
mod meeting;
mod place;
mod sandbox;
mod table;
mod terminal;
