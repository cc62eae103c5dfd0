//! The outbox on a disk that fills up: a small file system in memory, so this test needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agent::clock::now_ms;
use agent::config;
use agent::jibri::health::Monitor;
use agent::jibri::roots::Finder;
use agent::outbox::log::DeliveryLog;
use agent::outbox::model::{Answer, Kind, Meeting, NewItem};
use agent::outbox::uploads::{Ending, FileIdentity, NewRecording, UploadState};
use agent::outbox::{DATABASE, Limits, Outbox, OutboxError, Reader};
use agent::retention::Retention;
use agent::watch::Stop;
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
fn an_agent_starts_and_works_on_a_full_disk_as_often_as_it_must() {
    let disk = SmallDisk::new();
    let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
    writer.outbox().append(&[item("evt_0", "a")], &progress(1)).unwrap();
    // Somebody looks while no agent runs.
    let log = DeliveryLog::open(disk.path()).unwrap();
    writer.close();
    drop(log);
    disk.fill();
    for n in 1..4 {
        let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
        writer.outbox().append(&[item(&format!("evt_{n}"), "a")], &progress(1)).unwrap();
        let reader = Reader::open(disk.path()).unwrap();
        let lane = reader.waiting().unwrap()[0].lane;
        assert_eq!(reader.claim(lane, 0, 10, 1 << 20).unwrap().len(), 1 + n);
        writer.close();
    }
}

#[test]
fn an_outbox_without_its_log_is_opened_on_a_full_disk_once_there_is_room() {
    let disk = SmallDisk::new();
    let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
    writer.outbox().append(&[item("evt_1", "a")], &progress(1)).unwrap();
    writer.close();
    // As a copy of the database alone is.
    for log in ["wal", "shm"] {
        fs::remove_file(disk.path().join(format!("{DATABASE}-{log}"))).unwrap();
    }
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

#[test]
fn a_disk_too_full_to_write_a_removal_down_is_relieved_all_the_same() {
    let disk = SmallDisk::new();
    let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
    let (outbox, reader) = (writer.outbox().uploading(), Reader::open(disk.path()).unwrap());
    let session = disk.path().join("recordings/s1");
    fs::create_dir_all(&session).unwrap();
    let path = session.join("a.mp4");
    fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    let file = FileIdentity::of(&fs::metadata(&path).unwrap());
    let notice = NewItem { kind: Kind::Recording, ..item("s1", "a") };
    let recording =
        NewRecording { notice: notice.clone(), path: path.clone(), file, sha256: "ab".repeat(32) };
    outbox.queue_recording(&recording).unwrap();
    let seq = reader.open_uploads(0).unwrap()[0].seq;
    let state = UploadState::Verified;
    outbox.end_upload(seq, &Ending { state, object: None, note: None, notice, releases: true }).unwrap();
    let lane = reader.waiting().unwrap()[0].lane;
    let seq = reader.claim(lane, 0, 1, 1 << 20).unwrap()[0].seq;
    outbox.settle(Answer {
        lane,
        at: 1,
        status: Some(200),
        took_ms: 3,
        settled: vec![(seq, 3)],
        parked: Vec::new(),
        kept: None,
        meeting: Meeting::Unchanged,
    });
    eventually("the notice to be settled", || {
        reader.confirmed_recordings().unwrap()[0].notice_is_settled.then_some(())
    });
    disk.fill();
    assert!((0..1000).any(|n| outbox.append(&[big(n)], &progress(2)).is_err()));
    assert!((0..10_000).any(|n| outbox.append(&[item(&format!("s_{n}"), "a")], &progress(3)).is_err()));
    assert!(matches!(outbox.note_removal("s1", Some(1)), Err(OutboxError::Disk(_))), "nothing fits");

    let settings = config::Retention { keep_free_bytes: 1 << 40, ..config::Retention::default() };
    let recordings =
        config::Recordings { roots: vec![disk.path().join("recordings")], ..config::Recordings::default() };
    let finder = Finder::new(&recordings, &config::Jibri::default());
    let other = Reader::open(disk.path()).unwrap();
    let stop = Stop::new().unwrap();
    let mut retention = Retention::new(&settings, finder, Monitor::default(), outbox.clone(), other, stop);
    let (now, start) = (now_ms() + 3_600_000, Instant::now());
    retention.pass(now, start).unwrap();
    assert_eq!(retention.pass(now, start + Duration::from_mins(10)).unwrap(), 1);
    assert!(!session.exists());
    assert_eq!(reader.confirmed_recordings().unwrap()[0].removed_at, Some(now), "there is room to say so");
    writer.close();
}

#[test]
fn on_a_full_disk_an_upload_begins_and_ends_late_but_once() {
    let disk = SmallDisk::new();
    let (writer, _) = Outbox::open(disk.path(), LIMITS).unwrap();
    let outbox = writer.outbox().uploading();
    let media = tempfile::NamedTempFile::new().unwrap();
    let recording = |n: usize| NewRecording {
        notice: NewItem { kind: Kind::Recording, ..big(n) },
        path: media.path().to_owned(),
        file: FileIdentity::of(&media.as_file().metadata().unwrap()),
        sha256: "ab".repeat(32),
    };
    outbox.queue_recording(&recording(0)).unwrap();
    let ballast = disk.fill();
    let fits = (1..1000).take_while(|n| outbox.queue_recording(&recording(*n)).is_ok()).count();
    assert!(fits < 999, "the disk was to be full");
    let reader = Reader::open(disk.path()).unwrap();
    let open = || reader.open_uploads(0).unwrap().len();
    assert_eq!(open(), 1 + fits, "what was refused is not there");
    let first = reader.open_uploads(0).unwrap()[0].seq;
    let end = || {
        let object = Some(("bucket".to_owned(), "key".to_owned()));
        let notice = recording(0).notice;
        let ending = Ending { state: UploadState::Verified, object, note: None, notice, releases: true };
        outbox.end_upload(first, &ending)
    };
    assert!(matches!(end(), Err(OutboxError::NotStored)));
    assert_eq!(open(), 1 + fits, "it is open as long as its notice is not queued");
    assert!(reader.waiting().unwrap().is_empty());
    fs::remove_file(ballast).unwrap();
    eventually("the end to be written down", || end().ok());
    eventually("the refused one to be queued", || outbox.queue_recording(&recording(1 + fits)).ok());
    assert_eq!(open(), 1 + fits, "one has ended, one has come");
    let lane = reader.waiting().unwrap()[0].lane;
    assert_eq!(reader.claim(lane, 0, 10, 1 << 20).unwrap().len(), 1);
    writer.close();
}
