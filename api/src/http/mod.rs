//! The HTTP face: takes requests in, answers them, and runs no SQL itself.

pub mod body;
pub mod caller;
pub mod client_address;
pub mod cors;
pub mod date_time;
mod docs;
mod fallback;
pub mod health;
pub mod invalid_event;
pub mod json_body;
mod limits;
mod metrics;
mod observe;
pub mod openapi;
mod ops;
mod outage;
pub mod path_text;
pub mod private;
pub mod problem;
pub mod query;
mod receipt;
pub mod request_id;
pub mod router;
pub mod serve;
pub mod signed;
pub mod starting;
pub mod store_event;
pub mod timeouts;
pub mod v1;
pub mod validation;

pub use crate::state::State;
