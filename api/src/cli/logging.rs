//! Log lines: into the journal where standard error leads there, else on standard error.

use std::io;

use nix::sys::stat::fstat;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Log, LogFormat};

/// The levels of the journal. State changes are information there; the library would have them as notices.
const PRIORITIES: PriorityMappings = PriorityMappings {
    error: Priority::Error,
    warn: Priority::Warning,
    info: Priority::Informational,
    debug: Priority::Debug,
    trace: Priority::Debug,
};

/// Sends log lines where they belong, as configured.
pub(super) fn start(log: &Log) -> anyhow::Result<()> {
    let filter = EnvFilter::builder().parse(&log.filter)?;
    if log.format == LogFormat::Fitting && leads_to_journal() {
        // Where the journal takes no entries it still takes lines.
        if let Ok(journal) = tracing_journald::layer() {
            let journal = journal.with_field_prefix(None).with_priority_mappings(PRIORITIES);
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

/// Whether standard error is the stream that systemd has connected with the journal.
pub(super) fn leads_to_journal() -> bool {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    fstat(io::stderr()).is_ok_and(|stat| is_stream(&stream, stat.st_dev, stat.st_ino))
}

/// Whether `JOURNAL_STREAM`, which children inherit wherever their standard error leads, names this device and inode.
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream.split_once(':').is_some_and(|(named_device, named_inode)| {
        named_device.parse() == Ok(device) && named_inode.parse() == Ok(inode)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_where_device_and_inode_are_those_of_its_stream() {
        for (stream, expected) in
            [("8:77", true), ("8:78", false), ("9:77", false), ("8", false), ("", false), ("8:77:1", false)]
        {
            assert_eq!(is_stream(stream, 8, 77), expected, "{stream:?}");
        }
    }
}
