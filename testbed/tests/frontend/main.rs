//! What developers of frontends rely on: types made from the API's own document, and answers that are as it says.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

mod conformance;
mod docs;
mod scene;
mod typescript;
