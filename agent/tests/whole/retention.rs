//! Retention on a real outbox and real files.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use agent::clock::now_ms;
use agent::config;
use agent::jibri::health::Monitor;
use agent::jibri::roots::Finder;
use agent::outbox::model::{Answer, Kind, Meeting, NewItem};
use agent::outbox::uploads::{Ending, FileIdentity, NewRecording, UploadState};
use agent::outbox::{Outbox, Reader, Writer};
use agent::retention::Retention;
use agent::watch::Stop;
use contract::id::EventId;
use tempfile::TempDir;

use crate::support::{config, eventually};

const DAY_MS: i64 = 24 * 3_600_000;

/// A host with recordings and an outbox that knows them.
struct Host {
    directory: TempDir,
    outbox: Outbox,
    reader: Reader,
    _writer: Writer,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = config(directory.path(), "").outbox;
        let (writer, _) = Outbox::open(&settings.directory, settings.limits()).unwrap();
        let reader = Reader::open(&settings.directory).unwrap();
        Self { outbox: writer.outbox().uploading(), reader, _writer: writer, directory }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("recordings")
    }

    /// A file of Jibri that is queued for its upload.
    fn recorded(&self, session: &str) -> PathBuf {
        let directory = self.root().join(session);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("metadata.json"), b"{}").unwrap();
        let path = directory.join("a.mp4");
        fs::write(&path, session).unwrap();
        self.queue(session, &path);
        path
    }

    fn queue(&self, id: &str, path: &Path) {
        let recording = NewRecording {
            notice: notice(id),
            path: path.to_owned(),
            file: FileIdentity::of(&fs::metadata(path).unwrap()),
            sha256: "ab".repeat(32),
        };
        self.outbox.queue_recording(&recording).unwrap();
    }

    /// Ends its upload.
    fn ended(&self, id: &str, state: UploadState) {
        let open = self
            .reader
            .open_uploads(0)
            .unwrap()
            .into_iter()
            .find_map(|open| self.reader.upload(open.seq).unwrap().filter(|upload| upload.id == id));
        let ending = Ending {
            state,
            object: None,
            note: None,
            notice: notice(id),
            releases: state == UploadState::Verified,
        };
        self.outbox.end_upload(open.unwrap().seq, &ending).unwrap();
    }

    /// The API takes every notice.
    fn settled(&self) {
        for waiting in self.reader.waiting().unwrap() {
            while let Some(item) = self.reader.claim(waiting.lane, 0, 1, 1 << 20).unwrap().pop() {
                self.outbox.settle(Answer {
                    lane: waiting.lane,
                    at: now_ms(),
                    status: Some(200),
                    took_ms: 1,
                    settled: vec![(item.seq, 1)],
                    parked: Vec::new(),
                    kept: None,
                    meeting: Meeting::Unchanged,
                });
                eventually("it is settled", || {
                    let rest = self.reader.claim(waiting.lane, 0, 1, 1 << 20).unwrap();
                    rest.iter().all(|other| other.seq != item.seq).then_some(())
                });
            }
        }
    }

    fn retention(&self, settings: &config::Retention) -> Retention {
        let recordings = config::Recordings { roots: vec![self.root()], ..config::Recordings::default() };
        let finder = Finder::new(&recordings, &config::Jibri::default());
        let reader = Reader::open(&self.directory.path().join("outbox")).unwrap();
        let stop = Stop::new().unwrap();
        Retention::new(settings, finder, Monitor::default(), self.outbox.clone(), reader, stop)
    }

    /// How many files go when this much is wanted and nothing has changed for long.
    fn removed(&self, settings: &config::Retention, now: i64) -> usize {
        let mut retention = self.retention(settings);
        let start = Instant::now();
        let at_once = retention.pass(now, start).unwrap();
        assert_eq!(at_once, 0, "nothing goes that was not seen to be quiet");
        retention.pass(now, start + Duration::from_mins(10)).unwrap()
    }

    /// How many files go when this many days have passed.
    fn after(&self, days: i64, delete_uploaded_after_days: u64) -> usize {
        let settings = config::Retention { delete_uploaded_after_days, ..config::Retention::default() };
        self.removed(&settings, now_ms() + days * DAY_MS)
    }
}

fn notice(id: &str) -> NewItem {
    NewItem {
        id: EventId::parse(id).unwrap(),
        room: "reflector-a".into(),
        kind: Kind::Recording,
        body: b"{}".to_vec(),
        offset: 0,
        parked: None,
    }
}

#[test]
fn a_verified_file_goes_when_it_is_old_enough_and_leaves_nothing() {
    let host = Host::new();
    let (path, other) = (host.recorded("s1"), host.recorded("s2"));
    for id in ["s1", "s2"] {
        host.ended(id, UploadState::Verified);
    }
    host.settled();
    fs::write(other.parent().unwrap().join("b.mp4"), b"not uploaded").unwrap();
    assert_eq!(host.after(365, 0), 0, "it is off by default");
    assert_eq!(host.after(6, 7), 0, "not old enough");
    assert_eq!(host.after(8, 7), 2);
    assert!(!path.parent().unwrap().exists());
    assert!(!other.exists() && other.with_file_name("metadata.json").exists(), "another file is left");
    assert_eq!(host.after(9, 7), 0);
    assert!(host.reader.confirmed_recordings().unwrap().iter().all(|file| file.removed_at.is_some()));
}

#[test]
fn without_proof_no_file_ever_goes() {
    let host = Host::new();
    let waiting = host.recorded("waiting");
    let kept = host.recorded("kept");
    host.ended("kept", UploadState::Kept);
    let given_up = host.recorded("given-up");
    host.ended("given-up", UploadState::GivenUp);
    host.settled();
    let untold = host.recorded("untold");
    host.ended("untold", UploadState::Verified);
    assert_eq!(host.after(3650, 1), 0);
    for path in [&waiting, &kept, &given_up, &untold] {
        assert!(path.exists(), "{}", path.display());
    }
    host.settled();
    assert_eq!(host.after(3650, 1), 1, "its notice is settled");
    assert!(!untold.exists());
}

#[test]
fn a_file_that_is_worked_with_or_is_another_one_stays() {
    let host = Host::new();
    let [changed, written, named, again, young] =
        ["changed", "written", "b2f7c1e0-named", "again", "young"].map(|name| host.recorded(name));
    for id in ["changed", "written", "b2f7c1e0-named", "again", "young"] {
        host.ended(id, UploadState::Verified);
    }
    host.settled();
    fs::write(&changed, b"something else").unwrap();
    let writer = fs::File::options().append(true).open(&written).unwrap();
    let mut script = Command::new("sh")
        .args(["-c", "echo; read x", "finalize"])
        .arg(named.parent().unwrap())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    script.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    host.queue("again-with-metadata", &again);
    let later = fs::File::open(young.parent().unwrap()).unwrap();
    later.set_modified(std::time::SystemTime::now() + Duration::from_hours(48)).unwrap();
    assert_eq!(host.after(2, 1), 0);
    drop(writer);
    drop(script.stdin.take());
    script.wait().unwrap();
    host.ended("again-with-metadata", UploadState::Verified);
    host.settled();
    assert_eq!(host.after(3, 1), 4, "all but the changed one");
    assert_eq!(fs::read(&changed).unwrap(), b"something else");
}

#[test]
fn a_disk_without_room_is_relieved_of_the_longest_verified_first() {
    let host = Host::new();
    let paths = ["s1", "s2"].map(|name| host.recorded(name));
    for id in ["s2", "s1"] {
        host.ended(id, UploadState::Verified);
        // Two milliseconds never are the same one.
        let before = now_ms();
        eventually("the next millisecond", || (now_ms() > before).then_some(()));
    }
    host.settled();
    let order = host.reader.confirmed_recordings().unwrap();
    assert_eq!(order.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["s2", "s1"]);
    let an_hour = now_ms() + 3_600_000;
    for (keep_free_bytes, gone) in [(1, 0), (1 << 60, 2)] {
        let settings = config::Retention { keep_free_bytes, ..config::Retention::default() };
        assert_eq!(host.removed(&settings, an_hour), gone, "{keep_free_bytes} bytes");
    }
    assert!(paths.iter().all(|path| !path.exists()));
}

#[test]
fn what_a_crash_left_of_a_session_is_tidied() {
    let host = Host::new();
    let path = host.recorded("s1");
    host.ended("s1", UploadState::Verified);
    host.settled();
    host.outbox.note_removal("s1", Some(now_ms())).unwrap();
    fs::remove_file(&path).unwrap();
    let work = fs::File::open(path.parent().unwrap()).unwrap();
    work.set_modified(std::time::SystemTime::now() + Duration::from_hours(8 * 24)).unwrap();
    assert_eq!(host.after(8, 7), 0);
    assert!(path.parent().unwrap().exists(), "somebody works there");
    assert_eq!(host.after(9, 7), 0);
    assert!(!path.parent().unwrap().exists());
}
