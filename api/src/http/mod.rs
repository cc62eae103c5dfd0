//! The HTTP face: takes requests in, answers them, and runs no SQL itself.

use std::sync::Arc;

use sqlx::PgPool;

use crate::config::Config;

pub mod problem;
pub mod request_id;
pub mod router;
pub mod v1;
pub mod validation;

/// What handlers share.
#[derive(Debug, Clone)]
pub struct State {
    /// The database.
    pub db: PgPool,
    /// The configuration.
    pub config: Arc<Config>,
}
