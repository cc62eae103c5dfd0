//! `[spool]`: the directory that the Prosody module writes.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::Deserialize;

use super::finding::{Finding, SECONDS, Section, absolute, within};

/// How long segments may be kept, in hours: ten years; 0 means for ever.
const HOURS: RangeInclusive<u64> = 0..=87_600;

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

impl Section for Spool {
    const NAME: &'static str = "spool";

    fn findings(&self) -> Vec<Finding> {
        absolute("spool.directory", std::slice::from_ref(&self.directory))
            .into_iter()
            .chain(within("spool.rescan-seconds", self.rescan_seconds, &SECONDS))
            .chain(within("spool.remove-after-hours", self.remove_after_hours, &HOURS))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::assert_bounds;
    use super::*;

    #[test]
    fn every_number_has_bounds() {
        let good = Spool::default();
        assert_bounds(&good, "rescan-seconds", &SECONDS, |spool, n| spool.rescan_seconds = n);
        assert_bounds(&good, "remove-after-hours", &HOURS, |spool, n| spool.remove_after_hours = n);
    }
}
