//! `reflector-agent run`: the daemon.

use std::process::ExitCode;

use anyhow::Context;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::app;
use crate::config::{Config, LogFormat};
use crate::metrics::Counting;

pub(super) fn run(config: &Config) -> anyhow::Result<ExitCode> {
    let counting = Counting::default();
    start_logging(config, &counting)?;
    app::run(config, &counting)?;
    Ok(ExitCode::SUCCESS)
}

/// Log lines go to standard error, where systemd's journal picks them up; what they count goes to `counting`.
fn start_logging(config: &Config, counting: &Counting) -> anyhow::Result<()> {
    let filter: Targets = config.log.filter.parse().context("log.filter")?;
    let registry = tracing_subscriber::registry().with(counting.layer());
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    match config.log.format {
        LogFormat::Text => registry.with(lines.with_filter(filter)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
    }
    .context("logging cannot be started")
}
