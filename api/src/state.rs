//! What the parts that act share: requests and periodic work have the same.

use std::sync::Arc;

use host::pulse::Pulses;
use sqlx::PgPool;

use crate::auth::bearer::Authenticator;
use crate::config::Config;
use crate::enrolment::Enrolment;
use crate::ingest::Ingest;
use crate::jitsi::token::TokenIssuer;
use crate::meters::Meters;
use crate::receipts::Receipts;
use crate::storage::Storage;
use crate::traces::Traces;
use crate::uploads::Uploads;
use crate::wakes::Wakes;
use crate::webhooks::Webhooks;
use crate::whereby::Whereby;

/// The parts of this process, for handlers and jobs. A clone is another handle on the same parts.
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
    /// The loops that must turn.
    pub pulses: Pulses,
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
