//! `[outbox]`: what is kept until the API has it.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::finding::{DAYS, Finding, Section, absolute, within};

/// From a few thousand events to 16 TiB, the most that `SQLite` holds.
const BYTES: RangeInclusive<u64> = 4 << 20..=16 << 40;

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

impl Default for Outbox {
    fn default() -> Self {
        Self { directory: "/var/lib/reflector-agent".into(), max_bytes: 1 << 30, keep_settled_days: 7 }
    }
}

impl Section for Outbox {
    const NAME: &'static str = "outbox";

    fn findings(&self) -> Vec<Finding> {
        absolute("outbox.directory", std::slice::from_ref(&self.directory))
            .into_iter()
            .chain(within("outbox.max-bytes", self.max_bytes, &BYTES))
            .chain(within("outbox.keep-settled-days", self.keep_settled_days, &DAYS))
            .collect()
    }
}

impl Outbox {
    /// How big the outbox may get and how long it remembers.
    pub fn limits(&self) -> crate::outbox::Limits {
        crate::outbox::Limits {
            max_bytes: self.max_bytes,
            keep_settled: Duration::from_hours(24 * self.keep_settled_days),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::assert_bounds;
    use super::*;

    #[test]
    fn every_number_has_bounds() {
        let good = Outbox::default();
        assert_bounds(&good, "max-bytes", &BYTES, |outbox, n| outbox.max_bytes = n);
        assert_bounds(&good, "keep-settled-days", &DAYS, |outbox, n| outbox.keep_settled_days = n);
    }
}
