//! Configuration: the environment of the Reflector guides, name for name, read once at start.
//!
//! [`Config::read`] is a function of a map of variables and a way to read files, so that tables can test it. It goes through
//! everything before it gives up: all [`Finding`]s are reported at once, each with the variable, what is wrong with it and what
//! to do. Errors stop the start; warnings say what will not work. An empty variable counts as one that is not set.

use std::net::SocketAddr;
use std::path::PathBuf;

mod agents;
mod auth;
mod database;
pub mod environment_file;
mod finding;
mod http;
mod jitsi;
mod lifecycle;
mod limits;
mod log;
mod metrics;
mod networks;
mod ops;
mod queue;
mod reader;
mod secret;
mod storage;
mod webhooks;
mod whereby;

pub use agents::Agents;
pub use auth::{Auth, BearerAuth, KeySource};
pub use database::Database;
pub use finding::{Finding, Severity};
pub use http::{Cors, is_web_address};
pub use jitsi::{Jitsi, JitsiMeetings, SigningKey};
pub use lifecycle::Lifecycle;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use metrics::{Metrics, MetricsReaders};
pub use ops::Ops;
pub use queue::Queue;
pub use reader::{Surroundings, Variables};
pub use secret::Secret;
pub use storage::{Encryption, Storage};
pub use webhooks::{Pipeline, Webhooks};
pub use whereby::{Whereby, WherebyMeetings, WherebyRecordings};

use reader::Reader;

/// Everything that the service is told from outside.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where HTTP is served: `REFLECTOR_API_LISTEN`.
    pub listen: SocketAddr,
    /// Where agents reach this service, if that is known: `REFLECTOR_API_PUBLIC_URL`.
    pub public_url: Option<String>,
    /// A path prefix that a proxy leaves on requests, without trailing slash; empty for none: `ROOT_PATH`.
    pub root_path: String,
    /// Where state of this host is kept: `REFLECTOR_API_STATE_DIR`.
    pub state_dir: PathBuf,
    /// Which Postgres: `DATABASE_URL`, or the embedded one.
    pub database: Database,
    /// The Jitsi side.
    pub jitsi: Jitsi,
    /// Agents with a secret of their own.
    pub agents: Agents,
    /// Where recordings are, and where they are uploaded to if it takes uploads.
    pub storage: Option<Storage>,
    /// Where the storage's notifications come from, if they do.
    pub queue: Option<Queue>,
    /// The Whereby side.
    pub whereby: Whereby,
    /// When meetings end by themselves.
    pub lifecycle: Lifecycle,
    /// Webhooks that go out.
    pub webhooks: Webhooks,
    /// How callers prove who they are.
    pub auth: Auth,
    /// Which origins of browsers may read answers.
    pub cors: Cors,
    /// Whether callers without a token may list shared rooms: `PUBLIC_MODE`.
    pub public_mode: bool,
    /// What operators see.
    pub ops: Ops,
    /// How much one caller may ask for.
    pub limits: Limits,
    /// Who may read metrics.
    pub metrics: Metrics,
    /// What is logged, and how.
    pub log: Log,
}

impl Config {
    /// Reads and checks all variables. `Err` holds every finding, at least one of them an error; `Ok` comes with the warnings.
    pub fn read(
        variables: &Variables,
        surroundings: &Surroundings<'_>,
    ) -> Result<(Self, Vec<Finding>), Vec<Finding>> {
        let mut reader = Reader::new(variables, surroundings);
        let state_dir = database::state_dir(&mut reader);
        let of_whereby = WherebyRecordings::read(&mut reader);
        let config = Self {
            listen: http::listen(&mut reader),
            public_url: http::public_url(&mut reader),
            root_path: http::root_path(&mut reader),
            database: Database::read(&mut reader),
            state_dir,
            jitsi: Jitsi::read(&mut reader),
            agents: Agents::read(&mut reader),
            storage: Storage::read(&mut reader, of_whereby.as_ref()),
            queue: Queue::read(&mut reader, of_whereby.as_ref()),
            whereby: Whereby::read(&mut reader, of_whereby),
            lifecycle: Lifecycle::read(&mut reader),
            webhooks: Webhooks::read(&mut reader),
            auth: Auth::read(&mut reader),
            cors: Cors::read(&mut reader),
            public_mode: reader.flag("PUBLIC_MODE", false),
            ops: Ops::read(&mut reader),
            limits: Limits::read(&mut reader),
            metrics: Metrics::read(&mut reader),
            log: Log::read(&mut reader),
        };
        reader.refuse_unknown("REFLECTOR_API_");
        let findings = reader.into_findings();
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            Err(findings)
        } else {
            Ok((config, findings))
        }
    }
}

#[cfg(test)]
mod tests;
