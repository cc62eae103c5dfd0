//! The HTTP face: takes requests in, answers them, and runs no SQL itself.

use std::sync::Arc;

use sqlx::PgPool;

use crate::auth::bearer::Authenticator;
use crate::config::Config;
use crate::enrolment::Enrolment;
use crate::ingest::Ingest;
use crate::jitsi::token::TokenIssuer;
use crate::jobs::Wakes;
use crate::meters::Meters;
use crate::receipts::Receipts;
use crate::storage::Storage;
use crate::traces::Traces;
use crate::uploads::Uploads;
use crate::webhooks::Webhooks;
use crate::whereby::Whereby;

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
pub mod store_event;
pub mod timeouts;
pub mod v1;
pub mod validation;

/// What handlers share.
#[derive(Debug, Clone)]
pub struct State {
    /// The database.
    pub db: PgPool,
    /// The way in for events.
    pub ingest: Ingest,
    /// The configuration.
    pub config: Arc<Config>,
    /// Tells who calls: [`Authenticator::new`] of `config.auth`.
    pub authenticator: Arc<Authenticator>,
    /// The agents that sign with a secret of their own.
    pub enrolment: Arc<Enrolment>,
    /// Mints the tokens that open Jitsi meetings: [`TokenIssuer::new`] of `config.jitsi.meetings`, `None` where that is an error.
    pub jitsi: Option<Arc<TokenIssuer>>,
    /// Takes receipts of deliveries.
    pub receipts: Receipts,
    /// Everything that is counted.
    pub meters: Meters,
    /// The way out for spans.
    pub traces: Traces,
    /// The object storage that recordings are in; `None` where `config.storage` is.
    pub storage: Option<Arc<Storage>>,
    /// Uploads into it; `None` where it takes none.
    pub uploads: Option<Uploads>,
    /// The way to Whereby; `None` where `config.whereby.meetings` is an error.
    pub whereby: Option<Whereby>,
    /// Wakes periodic work.
    pub wakes: Wakes,
    /// Webhooks that go out.
    pub webhooks: Webhooks,
}
