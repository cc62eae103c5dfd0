//! Which disks with recordings have less room than the operator wants.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use crate::config;

/// The disks with recordings, and how much room they are to have.
pub(super) struct Floor {
    bytes: u64,
    percent: u64,
    disks: BTreeMap<u64, Disk>,
}

struct Disk {
    /// A directory on it.
    path: PathBuf,
    short: bool,
}

impl Floor {
    /// No disks yet.
    pub(super) fn new(settings: &config::Retention) -> Self {
        Self { bytes: settings.keep_free_bytes, percent: settings.keep_free_percent, disks: BTreeMap::new() }
    }

    /// Takes in the disk on which this directory is, if it exists.
    pub(super) fn add(&mut self, path: &Path) {
        if let Ok(metadata) = fs::metadata(path) {
            let short = self.measure(path);
            self.disks.entry(metadata.dev()).or_insert_with(|| Disk { path: path.to_owned(), short });
        }
    }

    /// Whether the disk with this device number has less room than it is to have.
    pub(super) fn is_short(&self, device: u64) -> bool {
        self.disks.get(&device).is_some_and(|disk| disk.short)
    }

    /// Whether any disk has.
    pub(super) fn any_is_short(&self) -> bool {
        self.disks.values().any(|disk| disk.short)
    }

    /// Something was removed from the disk with this device number.
    pub(super) fn freed(&mut self, device: u64) {
        if let Some(path) = self.disks.get(&device).map(|disk| disk.path.clone()) {
            let short = self.measure(&path);
            self.disks.entry(device).and_modify(|disk| disk.short = short);
        }
    }

    /// A directory on each disk that still has less room than it is to have.
    pub(super) fn still_short(&self) -> Vec<PathBuf> {
        self.disks.values().filter(|disk| disk.short).map(|disk| disk.path.clone()).collect()
    }

    /// A disk that cannot be measured is not short: nothing is removed on a guess.
    fn measure(&self, path: &Path) -> bool {
        statvfs(path).is_ok_and(|disk| {
            // What others than root may use, as `df` shows it.
            let (free, total) =
                (disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize));
            is_short(free, total, self.bytes, self.percent)
        })
    }
}

/// Whether `free` bytes of `total` are fewer than the given bytes, or than the given share.
fn is_short(free: u64, total: u64, bytes: u64, percent: u64) -> bool {
    free < bytes || u128::from(free) * 100 < u128::from(total) * u128::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_short_below_either_floor() {
        for (free, bytes, percent, expected) in [
            (0, 0, 0, false),
            (99, 100, 0, true),
            (100, 100, 0, false),
            (99, 0, 10, true),
            (100, 0, 10, false),
            (100, 101, 10, true),
            (100, 100, 11, true),
            (u64::MAX, u64::MAX, 0, false),
        ] {
            assert_eq!(is_short(free, 1000.max(free), bytes, percent), expected, "{free} {bytes} {percent}");
        }
    }
}
