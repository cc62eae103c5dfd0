//! Log lines: into the journal where standard error leads there, else on standard error.

use std::io;

use host::journal::{self, Journal};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Sends log lines where they belong, as configured.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let registry = tracing_subscriber::registry().with(log.targets()?);
    if log.format == LogFormat::Fitting && journal::is_stderr() {
        // Where the journal takes no entries it still takes lines.
        if let Ok(journal) = Journal::new("reflector-api") {
            return Ok(registry.with(journal).try_init()?);
        }
    }
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let started = match log.format {
        LogFormat::Fitting | LogFormat::Plain => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
