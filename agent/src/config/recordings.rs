//! `[recordings]`: the directories that Jibri writes.

use std::path::PathBuf;

use serde::Deserialize;

use super::finding::{Finding, SECONDS, Section, absolute, within};

/// `[recordings]`: the directories that Jibri writes.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Recordings {
    /// Off on a host without Jibri.
    pub enabled: bool,
    /// The directories that hold Jibri's session directories. None: they are found out from Jibri's own configuration and
    /// from where recordings customarily are.
    pub roots: Vec<PathBuf>,
    /// A media file without metadata counts as abandoned when nothing wrote it for this long.
    pub orphan_after_seconds: u64,
    /// How often the directories are looked at even when the kernel reports no change.
    pub rescan_seconds: u64,
}

impl Default for Recordings {
    fn default() -> Self {
        Self { enabled: true, roots: Vec::new(), orphan_after_seconds: 300, rescan_seconds: 10 }
    }
}

impl Section for Recordings {
    const NAME: &'static str = "recordings";

    fn findings(&self) -> Vec<Finding> {
        absolute("recordings.roots", &self.roots)
            .into_iter()
            .chain(within("recordings.orphan-after-seconds", self.orphan_after_seconds, &SECONDS))
            .chain(within("recordings.rescan-seconds", self.rescan_seconds, &SECONDS))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::assert_bounds;
    use super::*;

    #[test]
    fn every_number_has_bounds() {
        let good = Recordings::default();
        assert_bounds(&good, "rescan-seconds", &SECONDS, |all, n| all.rescan_seconds = n);
        assert_bounds(&good, "orphan-after-seconds", &SECONDS, |all, n| all.orphan_after_seconds = n);
    }

    #[test]
    fn each_root_that_is_not_absolute_is_named() {
        let roots = ["/srv/a", "b", "c/d"].map(PathBuf::from).to_vec();
        let found = Recordings { roots, ..Recordings::default() }.findings();
        assert!(found.len() == 2 && found.iter().all(|finding| finding.key == "recordings.roots"));
        assert!(found[0].problem.contains("`b`") && found[1].problem.contains("`c/d`"), "{found:?}");
    }
}
