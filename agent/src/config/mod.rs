//! Configuration: defaults in the binary, then `agent.toml`, then `agent.d/*.toml` beside it in lexical order, then the
//! environment (`REFLECTOR_AGENT__SECTION__KEY`, dashes as underscores, and the guides' names).
//!
//! Each section has its file: its keys, their defaults, and what may be wrong with them. Everything that is wrong is
//! reported at once, key by key, each finding with the key, the layer that set it, and what to do about it.

mod api;
mod ca_file;
mod delivery;
mod environment;
mod event_sync;
mod finding;
mod jibri;
mod layers;
mod load;
mod log;
mod outbox;
mod proposed;
mod proxy;
mod recordings;
mod retention;
mod secret;
mod spool;
mod survey;
mod typed;
mod upload;

pub use self::api::Api;
pub(crate) use self::api::is_api_url;
pub(crate) use self::ca_file::certificates;
pub use self::delivery::Delivery;
pub use self::environment::Environment;
pub use self::event_sync::EventSync;
pub use self::finding::{Finding, Severity};
pub use self::jibri::Jibri;
pub use self::load::{load, load_outbox};
pub use self::log::{Log, LogFormat};
pub use self::outbox::Outbox;
pub(crate) use self::proposed::secret_problem;
pub use self::proposed::{Proposal, load_proposed};
pub use self::proxy::{Proxies, ProxyAddress};
pub use self::recordings::Recordings;
pub use self::retention::Retention;
pub use self::secret::Secret;
pub use self::spool::Spool;
pub use self::survey::{Survey, survey};
pub use self::upload::Upload;

/// Where the configuration is looked for when nothing else is said.
pub const DEFAULT_PATH: &str = "/etc/reflector-agent/agent.toml";

/// What to do when the system forbids to read something.
pub(crate) const RUN_AS: &str = "run this as root or as the agent's user";

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where deliveries go.
    pub api: Api,
    /// The secret that signs them.
    pub secret: Secret,
    /// What stands between this host and the API.
    pub proxies: Proxies,
    /// The spool that the Prosody module writes.
    pub spool: Spool,
    /// Jibri's recordings.
    pub recordings: Recordings,
    /// What Jibri is asked.
    pub jibri: Jibri,
    /// When files of recordings are removed.
    pub retention: Retention,
    /// The local listener.
    pub event_sync: EventSync,
    /// How their files get into the object storage.
    pub upload: Upload,
    /// What is kept until the API has it.
    pub outbox: Outbox,
    /// How it is sent.
    pub delivery: Delivery,
    /// What the agent says about itself.
    pub log: Log,
}

/// What looking at the outbox needs.
#[derive(Debug, Clone)]
pub struct OutboxConfig {
    /// Where deliveries go, for display; `None` if it is not known here, or not an address.
    pub api_url: Option<String>,
    /// What is kept until the API has it.
    pub outbox: Outbox,
}
