//! The HTTP face: takes requests in, answers them, and runs no SQL itself.

use std::sync::Arc;

use sqlx::PgPool;

use crate::auth::bearer::Authenticator;
use crate::config::Config;
use crate::jitsi::token::TokenIssuer;

pub mod caller;
pub mod date_time;
pub mod json_body;
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
    /// Tells who calls: [`Authenticator::new`] of `config.auth`.
    pub authenticator: Arc<Authenticator>,
    /// Mints the tokens that open Jitsi meetings: [`TokenIssuer::new`] of `config.jitsi.meetings`, `None` where that is an error.
    pub jitsi: Option<Arc<TokenIssuer>>,
}
