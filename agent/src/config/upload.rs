//! `[upload]`: how recording files get into the object storage.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::finding::{Finding, Section, within};

/// How many parts may be sent at the same time. Each costs a connection and less than a mebibyte of memory.
const PARTS: RangeInclusive<u64> = 1..=16;

/// The bandwidth, in bytes per second: at least a slow modem's, at most more than any network card's.
const RATE: RangeInclusive<u64> = 1024..=1_000_000_000_000;

/// `[upload]`: how recording files get into the object storage.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Upload {
    /// Off where something else carries the files away: recordings are then reported with their path alone.
    pub enabled: bool,
    /// How many parts of a file are sent at the same time, each over its own connection.
    pub parallel_parts: usize,
    /// The most bytes per second that all parts together may take; 0 for no limit.
    pub max_bytes_per_second: u64,
}

impl Default for Upload {
    fn default() -> Self {
        Self { enabled: true, parallel_parts: 4, max_bytes_per_second: 0 }
    }
}

impl Section for Upload {
    const NAME: &'static str = "upload";

    fn findings(&self) -> Vec<Finding> {
        let limited = self.max_bytes_per_second != 0;
        let rate = limited.then(|| within("upload.max-bytes-per-second", self.max_bytes_per_second, &RATE));
        let parts = within("upload.parallel-parts", self.parallel_parts as u64, &PARTS);
        parts.into_iter().chain(rate.flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::assert_bounds;
    use super::*;

    #[test]
    fn every_number_has_bounds() {
        let good = Upload::default();
        assert_bounds(&good, "parallel-parts", &PARTS, |upload, n| {
            upload.parallel_parts = usize::try_from(n).unwrap_or(usize::MAX);
        });
        let slow = Upload { max_bytes_per_second: *RATE.start() - 1, ..good.clone() };
        assert_eq!(slow.findings().len(), 1);
        let unlimited = Upload { max_bytes_per_second: 0, ..good };
        assert!(unlimited.findings().is_empty());
    }
}
