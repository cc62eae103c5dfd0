//! The outbox on a disk that fills up: a small file system in memory, so this test needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use agent::outbox::log::DeliveryLog;
use agent::outbox::model::{Answer, Meeting, NewItem};
use agent::outbox::{Limits, Outbox, OutboxError, Reader};
use tempfile::TempDir;

use crate::support::{eventually, item, progress};

const LIMITS: Limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };

struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=12m", "tmpfs"])
            .arg(directory.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "this test mounts a small file system: run it as root");
        Self(directory)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills what is left of the disk.
    fn fill(&self) -> PathBuf {
        let ballast = self.path().join("ballast");
        let chunk = vec![0_u8; 4096];
        let mut file = fs::File::create(&ballast).unwrap();
        while std::io::Write::write_all(&mut file, &chunk).is_ok() {}
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn big(n: usize) -> NewItem {
    NewItem { body: vec![b'x'; 100_000], ..item(&format!("evt_{n:06}"), "a") }
}

#[test]
fn a_full_disk_is_waited_out_and_what_the_api_has_is_not_sent_again() {
    let disk = SmallDisk::new();
    let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
    let outbox = writer.outbox();
    outbox.append(&[item("evt_first", "a")], &progress(1)).unwrap();
    let ballast = disk.fill();
    let refused = (0..1000).find_map(|n| outbox.append(&[big(n)], &progress(2)).err());
    assert!(matches!(refused, Some(OutboxError::NotStored)), "{refused:?}");

    let lane = Reader::open(disk.path()).unwrap().waiting().unwrap()[0].lane;
    let settled = vec![(1, 3)];
    outbox.settle(Answer {
        lane,
        at: 1,
        status: Some(200),
        took_ms: 3,
        settled,
        parked: Vec::new(),
        kept: None,
        meeting: Meeting::Unchanged,
    });
    fs::remove_file(ballast).unwrap();
    eventually("an append to succeed", || outbox.append(&[item("evt_last", "a")], &progress(3)).ok());
    eventually("the answer that came meanwhile to be written down", || {
        let summary = DeliveryLog::open(disk.path()).unwrap().summary(disk.path()).unwrap();
        (summary.delivered == 1).then_some(())
    });
    writer.close();
}

#[test]
fn an_agent_that_is_started_on_a_full_disk_says_so_and_starts_once_there_is_room() {
    let disk = SmallDisk::new();
    let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
    writer.outbox().append(&[item("evt_1", "a")], &progress(1)).unwrap();
    writer.close();
    let ballast = disk.fill();
    let refused = Outbox::open(disk.path(), LIMITS).err();
    assert!(matches!(refused, Some(OutboxError::Disk(_))), "{refused:?}");
    fs::remove_file(ballast).unwrap();
    let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
    let reader = Reader::open(disk.path()).unwrap();
    let lane = reader.waiting().unwrap()[0].lane;
    assert_eq!(reader.claim(lane, 0, 10, 1 << 20).unwrap().len(), 1);
    writer.close();
}
