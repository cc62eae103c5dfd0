//! What a heartbeat says, put together from the outbox and the disks.

use std::path::{Path, PathBuf};

use contract::heartbeat::{Backlog, Disk, Heartbeat, Jibri, Uploads};
use time::OffsetDateTime;

use super::roles::{Signs, roles};
use crate::config;
use crate::jibri::health::Monitor;
use crate::jibri::roots::Finder;
use crate::outbox::OutboxError;
use crate::outbox::log::DeliveryLog;

/// Gathers what is said. Lives in whatever thread may wait for the disk.
pub struct Gatherer {
    log: DeliveryLog,
    outbox: PathBuf,
    spool: Option<PathBuf>,
    finder: Option<Finder>,
    monitor: Monitor,
    host: String,
    host_id: String,
    started_at: i64,
}

impl Gatherer {
    /// A gatherer for this host. `monitor` is what asks Jibri how it is.
    pub fn new(
        outbox: &config::Outbox,
        spool: &config::Spool,
        finder: Option<Finder>,
        monitor: Monitor,
        host_id: &str,
        started_at: i64,
    ) -> Result<Self, OutboxError> {
        Ok(Self {
            log: DeliveryLog::open(&outbox.directory)?,
            outbox: outbox.directory.clone(),
            spool: spool.enabled.then(|| spool.directory.clone()),
            finder,
            monitor,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            host_id: host_id.to_owned(),
            started_at,
        })
    }

    /// What there is to say `now`.
    pub fn gather(&self, now: i64) -> Result<Heartbeat, OutboxError> {
        let backlog = self.log.backlog()?;
        let uploads = self.log.upload_totals()?;
        let found = self.finder.as_ref().map(Finder::find);
        let roots: Vec<&Path> =
            found.iter().flat_map(|found| &found.roots).map(|root| root.path.as_path()).collect();
        let signs = Signs {
            spool: self.spool.as_ref().is_some_and(|directory| directory.is_dir()),
            recordings: roots.iter().any(|root| root.is_dir()),
            jibri: found.as_ref().is_some_and(|found| !found.jibri.files.is_empty()),
        };
        let paths = [Some(self.outbox.as_path()), self.spool.as_deref()].into_iter().flatten().chain(roots);
        Ok(Heartbeat {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            host: self.host.clone(),
            host_id: self.host_id.clone(),
            started_at: moment(self.started_at),
            roles: roles(signs),
            backlog: Backlog {
                events: backlog.ready,
                rooms: backlog.rooms,
                bytes: self.log.ready_bytes(backlog.ready)?,
                oldest_at: backlog.oldest_ready.map(moment),
            },
            parked: backlog.parked,
            delivered_total: self.log.delivered(backlog.ready, backlog.parked)?,
            uploads: Uploads {
                active: uploads.active,
                waiting: uploads.waiting,
                bytes_left: uploads.bytes_left,
            },
            disk: disks(paths),
            jibri: self.monitor.health().map(|health| Jibri { busy: health.busy, healthy: health.healthy }),
            sent_at: moment(now),
        })
    }
}

fn moment(milliseconds: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// The file systems of these directories, each once.
fn disks<'a>(paths: impl Iterator<Item = &'a Path>) -> Vec<Disk> {
    let mut seen = Vec::new();
    paths
        .filter_map(|path| {
            use std::os::unix::fs::MetadataExt;
            let device = std::fs::metadata(path).ok()?.dev();
            if seen.contains(&device) {
                return None;
            }
            seen.push(device);
            let (free_bytes, total_bytes) = free_space(path).ok()?;
            Some(Disk { path: path.display().to_string(), free_bytes, total_bytes })
        })
        .collect()
}

/// The bytes that the file system of `path` still takes from an ordinary user, and its size.
pub fn free_space(path: &Path) -> std::io::Result<(u64, u64)> {
    let disk = rustix::fs::statvfs(path)?;
    Ok((disk.f_bavail.saturating_mul(disk.f_frsize), disk.f_blocks.saturating_mul(disk.f_frsize)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        let missing = directory.path().join("missing");
        let told = disks([directory.path(), &inside, &missing].into_iter());
        assert_eq!(told.len(), 1);
        assert!(told[0].free_bytes <= told[0].total_bytes && told[0].total_bytes > 0, "{told:?}");
    }
}
