//! `[retention]`: when files of recordings are removed from this host. Off by default.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::finding::{Finding, Section, within};

/// How long a file may stay after its upload, in days: ten years; 0 means for ever.
const KEPT_DAYS: RangeInclusive<u64> = 0..=3650;

/// A disk that is to be kept emptier than this is to hold no recordings.
const PERCENT: RangeInclusive<u64> = 0..=95;

/// More than any disk has.
const BYTES: RangeInclusive<u64> = 0..=1 << 60;

/// `[retention]`: when files of recordings are removed from this host.
///
/// Only files of which the API read back a whole copy are ever removed, whatever is set here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Retention {
    /// A file is removed when its upload was verified so many days ago. 0 keeps it.
    pub delete_uploaded_after_days: u64,
    /// While a disk with recordings has fewer free bytes than this, uploaded files are removed, the oldest first. 0: never.
    pub keep_free_bytes: u64,
    /// The same as a share of the disk.
    pub keep_free_percent: u64,
}

impl Section for Retention {
    const NAME: &'static str = "retention";

    fn findings(&self) -> Vec<Finding> {
        within("retention.delete-uploaded-after-days", self.delete_uploaded_after_days, &KEPT_DAYS)
            .into_iter()
            .chain(within("retention.keep-free-bytes", self.keep_free_bytes, &BYTES))
            .chain(within("retention.keep-free-percent", self.keep_free_percent, &PERCENT))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::assert_bounds;
    use super::*;

    #[test]
    fn every_number_has_bounds() {
        let off = Retention::default();
        assert_bounds(&off, "delete-uploaded-after-days", &KEPT_DAYS, |all, n| {
            all.delete_uploaded_after_days = n;
        });
        assert_bounds(&off, "keep-free-bytes", &BYTES, |all, n| all.keep_free_bytes = n);
        assert_bounds(&off, "keep-free-percent", &PERCENT, |all, n| all.keep_free_percent = n);
    }
}
