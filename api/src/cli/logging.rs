//! Log lines: into the journal where standard error leads there, else on standard error.

use std::io;

use host::journal::{self, Journal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// Sends log lines where they belong, as configured.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
    if log.format == LogFormat::Fitting && journal::is_stderr() {
        // Where the journal takes no entries it still takes lines.
        if let Ok(journal) = Journal::new("reflector-api") {
            return Ok(tracing_subscriber::registry().with(filter).with(journal).try_init()?);
        }
    }
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let started = match log.format {
        LogFormat::Fitting | LogFormat::Plain => lines.with_ansi(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("cannot start logging: {error}"))
}
