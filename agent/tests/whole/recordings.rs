//! The recordings source on real directories.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use agent::outbox::model::State;
use agent::outbox::{Outbox, Writer};
use agent::recordings::Recordings;
use agent::watch::Stop;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{config, deliveries, eventually};

/// A whole mp4 of 3.2 seconds, as far as a probe can tell.
fn mp4() -> Vec<u8> {
    let boxed = |name: &[u8], content: &[u8]| {
        [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], name, content].concat()
    };
    let mvhd = boxed(b"mvhd", &[&[0; 12][..], &1000_u32.to_be_bytes(), &3200_u32.to_be_bytes()].concat());
    [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[7; 1000]), boxed(b"moov", &mvhd)].concat()
}

struct Host {
    directory: TempDir,
    writer: Option<Writer>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    fn start() -> Self {
        let mut host = Self {
            directory: tempfile::tempdir().unwrap(),
            writer: None,
            stop: Stop::new().unwrap(),
            thread: None,
        };
        host.run();
        host
    }

    fn run(&mut self) {
        let root = self.root();
        let more = format!(
            "[recordings]\nroots = [\"{}\"]\norphan-after-seconds = 1\nrescan-seconds = 1\n",
            root.display()
        );
        let config = config(self.directory.path(), &more);
        let (writer, _) = Outbox::open(&config.outbox.directory, config.outbox_limits()).unwrap();
        self.stop = Stop::new().unwrap();
        let recordings = Recordings::new(&config, writer.outbox(), self.stop.clone()).unwrap();
        self.thread = Some(std::thread::spawn(|| recordings.run()));
        self.writer = Some(writer);
    }

    fn halt(&mut self) {
        self.stop.give();
        if let (Some(thread), Some(writer)) = (self.thread.take(), self.writer.take()) {
            thread.join().unwrap();
            writer.close();
        }
    }

    fn root(&self) -> PathBuf {
        self.directory.path().join("recordings")
    }

    fn session(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// The notices so far: room, status, and the body.
    fn notices(&self) -> Vec<Value> {
        deliveries(&self.directory.path().join("outbox"))
            .iter()
            .filter(|delivery| delivery.state == State::Ready)
            .map(|delivery| serde_json::from_slice(&delivery.body).unwrap())
            .collect()
    }

    fn notice_of(&self, session: &str) -> Value {
        eventually(session, || self.notices().into_iter().find(|notice| notice["session_id"] == session))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.halt();
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) {
    fs::write(directory.join(name), bytes).unwrap();
}

const METADATA: &[u8] = br#"{"meeting_url":"https://meet.example.com/Reflector-Daily?jwt=SECRET","participants":[{"user":{"name":"Alice"}}],"upload_credentials":{"token":"SECRET"},"conference_details":{"session_id":"m-1"}}"#;

#[test]
fn a_finished_recording_is_told_once_also_after_a_restart() {
    let mut host = Host::start();
    let session = host.session("s1");
    write(&session, "reflector-daily_2026-08-05-13-56-46.mp4", &mp4());
    write(&session, "metadata.json", METADATA);
    let notice = host.notice_of("s1");
    assert_eq!(notice["room_name"], "reflector-daily");
    assert_eq!(notice["recording_status"], "completed");
    assert_eq!((&notice["duration_ms"], &notice["meeting_session_id"]), (&3200.into(), &"m-1".into()));
    assert!(!notice.to_string().contains("SECRET"), "{notice}");
    host.halt();
    host.run();
    let second = host.session("s2");
    write(&second, "reflector-daily_2026-08-05-14-56-46.mp4", &mp4());
    write(&second, "metadata.json", METADATA);
    host.notice_of("s2");
    assert_eq!(host.notices().len(), 2, "the first one was not told again");
}

#[test]
fn a_recorder_that_died_leaves_a_recording_all_the_same() {
    let host = Host::start();
    let whole = host.session("whole");
    write(&whole, "reflector-a_2026-08-05-13-56-46.mp4", &mp4());
    let cut = host.session("cut");
    write(&cut, "reflector-b_2026-08-05-13-56-46.mp4", &mp4()[..500]);
    let broken = host.session("broken");
    write(&broken, "reflector-c_2026-08-05-13-56-46.mp4", &mp4());
    write(&broken, "metadata.json", b"{\"meeting_url\":\"https://");
    for (session, room, status) in [
        ("whole", "reflector-a", "orphaned"),
        ("cut", "reflector-b", "truncated"),
        ("broken", "reflector-c", "orphaned"),
    ] {
        let notice = host.notice_of(session);
        assert_eq!(
            (&notice["room_name"], &notice["recording_status"]),
            (&room.into(), &status.into()),
            "{notice}"
        );
    }
}

#[test]
fn a_session_directory_that_disappears_disturbs_nobody() {
    let host = Host::start();
    let gone = host.session("gone");
    let other = host.session("other");
    fs::remove_dir(&gone).unwrap();
    write(&other, "reflector-a_2026-08-05-13-56-46.mp4", &mp4());
    write(&other, "metadata.json", METADATA);
    host.notice_of("other");
    fs::remove_dir_all(host.root()).unwrap();
    let again = host.session("again");
    write(&again, "reflector-a_2026-08-05-13-56-46.mp4", &mp4());
    write(&again, "metadata.json", METADATA);
    host.notice_of("again");
}

#[test]
fn a_recording_without_a_name_waits_for_a_person() {
    let host = Host::start();
    let session = host.session("s1");
    write(&session, "unnamed.mp4", &mp4());
    write(&session, "metadata.json", b"{}");
    let parked = eventually("a parked recording", || {
        let all = deliveries(&host.directory.path().join("outbox"));
        all.into_iter().find(|delivery| delivery.state == State::Parked)
    });
    assert!(parked.note.unwrap().contains("unnamed.mp4 names no room"));
}
