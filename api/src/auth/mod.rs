//! Who a request comes from: signatures of deliveries, bearer tokens of people.
//!
//! - [`webhook`]: whether a delivery was signed with a secret of ours.
//! - [`bearer`]: whose token a request carries; [`keys`] checks its signature, [`jwks`] fetches keys, [`identity`] decides
//!   about its claims.
//! - [`api_key`]: keys that a user's programs send instead.
//! - [`local`]: tokens for local use.

pub mod api_key;
pub mod bearer;
pub mod identity;
pub mod jwks;
pub mod keys;
pub mod local;
pub mod webhook;
