//! What the test binaries share.

pub(crate) mod postgres;
pub(crate) mod program;
pub(crate) mod wait;
