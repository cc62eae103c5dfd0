//! `reflector-agent run`: the daemon.

use std::process::ExitCode;

use anyhow::Context;
use host::journal::{self, Journal};
use rustix::fs::Mode;
use rustix::process::umask;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

use crate::app;
use crate::config::{Config, Finding, LogFormat, Severity};
use crate::metrics::Counting;

/// Loads the configuration: it, and the warnings, or every finding.
type Load<'a> = &'a dyn Fn() -> Result<(Config, Vec<Finding>), Vec<Finding>>;

/// Sets the log's filter while the agent runs.
type SetFilter = Box<dyn Fn(Targets)>;

/// What others get of no file that the agent makes, and not of its directories: to read and to write; the group does not
/// write. They may enter the outbox, because the hint may lie in there, for the user of a finalize script.
const NOT_FOR_OTHERS: Mode = Mode::from_raw_mode(0o026);

/// Runs as configured; `load` is asked again when the agent is told to read its configuration once more.
pub(super) fn run(config: &Config, load: Load<'_>) -> anyhow::Result<ExitCode> {
    keep_files_private();
    let counting = Counting::default();
    let set_filter = start_logging(config, &counting)?;
    app::run(config, &counting, &|| again(load, &set_filter))?;
    Ok(ExitCode::SUCCESS)
}

/// The outbox holds names and e-mail addresses. A mask that is stricter already stays as it is.
fn keep_files_private() {
    let inherited = umask(NOT_FOR_OTHERS);
    umask(inherited | NOT_FOR_OTHERS);
}

/// Log lines go to standard error, or to the journal itself where that is its other end; what they count goes to
/// `counting`.
fn start_logging(config: &Config, counting: &Counting) -> anyhow::Result<SetFilter> {
    let filter: Targets = config.log.filter.parse().context("log.filter")?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(counting.layer());
    let lines =
        tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_target(false);
    match config.log.format {
        LogFormat::Auto if journal::is_stderr() => {
            let journal = Journal::new("reflector-agent").context("the journal cannot be written to")?;
            registry.with(journal.with_filter(filter)).try_init()
        }
        LogFormat::Auto | LogFormat::Text => registry.with(lines.with_filter(filter)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(filter)).try_init(),
    }
    .context("logging cannot be started")?;
    // It fails when the log is gone, which is when the process is.
    Ok(Box::new(move |filter| drop(handle.reload(filter))))
}

/// Reads the configuration once more. A wrong one changes nothing, and every finding is said.
fn again(load: Load<'_>, set_filter: &SetFilter) -> Option<Config> {
    let (config, findings) = match load() {
        Ok((config, warnings)) => (Some(config), warnings),
        Err(findings) => (None, findings),
    };
    if let Some(filter) = config.as_ref().and_then(|config| config.log.filter.parse().ok()) {
        set_filter(filter);
    }
    for finding in &findings {
        let (key, problem) = (&finding.key, &finding.problem);
        match finding.severity {
            Severity::Error => tracing::error!("{key}: {problem}"),
            Severity::Warning => tracing::warn!("{key}: {problem}"),
        }
    }
    if config.is_some() {
        tracing::info!(
            "the configuration was read again: secret and log filter are as they stand there now, everything else is read at start"
        );
    } else {
        tracing::error!("the configuration is wrong now, so everything stays as it was");
    }
    config
}
