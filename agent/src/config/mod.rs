//! Configuration: defaults in the binary, then `agent.toml`, then `agent.d/*.toml` beside it in lexical order, then the
//! environment (`REFLECTOR_AGENT__SECTION__KEY`, dashes as underscores, and the guides' names).
//!
//! Everything that is wrong is reported at once, each finding with the key and what to do about it.

mod environment;
mod layers;
mod load;
mod secret;
mod validate;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

pub use self::environment::Environment;
pub use self::load::{load, load_outbox};
pub use self::secret::Secret;

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
    /// The spool that the Prosody module writes.
    pub spool: Spool,
    /// Jibri's recordings.
    pub recordings: Recordings,
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

/// `[api]`: where deliveries go.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Api {
    /// The API's address, for example `https://reflector.example.com`. Also `REFLECTOR_API_URL`.
    pub url: String,
    /// The file with the shared secret. Without it: the systemd credential `secret`, or `JITSI_WEBHOOK_SECRET`.
    pub secret_file: Option<PathBuf>,
    /// Which rooms are reported, as patterns with `*` and `?`; others are not read further.
    pub rooms: Vec<String>,
    /// How long a connection may take to be made.
    pub connect_timeout_seconds: u64,
    /// How long a request may take as a whole.
    pub request_timeout_seconds: u64,
}

/// `[spool]`: the directory that the Prosody module writes.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Spool {
    /// Off on a host without Prosody.
    pub enabled: bool,
    /// The directory with `*.jsonl` segments.
    pub directory: PathBuf,
    /// A segment that is wholly in the outbox is removed when it is this old. 0 keeps segments for ever.
    pub remove_after_hours: u64,
    /// How often the directory is looked at even when the kernel reports no change.
    pub rescan_seconds: u64,
}

/// `[recordings]`: the directories that Jibri writes.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recordings {
    /// Off on a host without Jibri.
    pub enabled: bool,
    /// Jibri's `recordings-directory`, or several.
    pub roots: Vec<PathBuf>,
    /// A media file without metadata counts as abandoned when nothing wrote it for this long.
    pub orphan_after_seconds: u64,
    /// How often the directories are looked at even when the kernel reports no change.
    pub rescan_seconds: u64,
}

/// `[outbox]`: what is kept until the API has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Outbox {
    /// The directory of the outbox; must be on a local disk.
    pub directory: PathBuf,
    /// The most bytes that it may use; sources wait when it is full.
    pub max_bytes: u64,
    /// How long settled deliveries stay in the delivery log.
    pub keep_settled_days: u64,
}

/// `[delivery]`: how events are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delivery {
    /// How many rooms are delivered at the same time, each over its own connection.
    pub connections: usize,
    /// The most events in one request; 1 sends every event by itself.
    pub batch_max_events: usize,
    /// The shortest wait after a failure.
    pub backoff_min_seconds: u64,
    /// The longest wait after a failure.
    pub backoff_max_seconds: u64,
}

/// `[log]`: what the agent says about itself, on standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Log {
    /// A level (`error` to `trace`), or directives such as `info,agent::delivery=debug`.
    pub filter: String,
    /// `text` for people, `json` for programs.
    pub format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Something wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The key, or the file, that is meant.
    pub key: String,
    /// What is wrong, and what to do.
    pub problem: String,
    /// Whether the agent can run all the same.
    pub severity: Severity,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The agent runs, but probably not as intended.
    Warning,
    /// The agent does not start.
    Error,
}

impl Finding {
    fn error(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), severity: Severity::Error }
    }

    fn warning(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { key: key.into(), problem: problem.into(), severity: Severity::Warning }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret_file: None,
            rooms: vec!["reflector-*".into()],
            connect_timeout_seconds: 10,
            request_timeout_seconds: 30,
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            enabled: true,
            directory: "/var/spool/reflector-agent/prosody".into(),
            remove_after_hours: 24,
            rescan_seconds: 10,
        }
    }
}

impl Default for Recordings {
    fn default() -> Self {
        Self {
            enabled: true,
            roots: vec!["/var/recordings".into()],
            orphan_after_seconds: 300,
            rescan_seconds: 10,
        }
    }
}

impl Default for Outbox {
    fn default() -> Self {
        Self { directory: "/var/lib/reflector-agent".into(), max_bytes: 1 << 30, keep_settled_days: 7 }
    }
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            connections: 8,
            batch_max_events: contract::batch::MAX_EVENTS,
            backoff_min_seconds: 1,
            backoff_max_seconds: 300,
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "info".into(), format: LogFormat::Text }
    }
}

impl Config {
    /// How long a connection may take to be made.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.api.connect_timeout_seconds)
    }

    /// How long a request may take as a whole.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.api.request_timeout_seconds)
    }

    /// How big the outbox may get and how long it remembers.
    pub fn outbox_limits(&self) -> crate::outbox::Limits {
        crate::outbox::Limits {
            max_bytes: self.outbox.max_bytes,
            keep_settled: Duration::from_hours(24 * self.outbox.keep_settled_days),
        }
    }
}
