//! The recordings source on real directories.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use agent::jibri::health::Monitor;
use agent::jibri::roots::Finder;
use agent::outbox::model::State;
use agent::outbox::{Outbox, Writer};
use agent::recordings::Recordings;
use agent::rooms::Rooms;
use agent::watch::Stop;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{config, deliveries, eventually};

/// A whole mp4 of 3.2 seconds, as far as a probe can tell.
pub(crate) fn mp4() -> Vec<u8> {
    let boxed = |name: &[u8], content: &[u8]| {
        [&u32::try_from(content.len() + 8).unwrap().to_be_bytes()[..], name, content].concat()
    };
    let mvhd = boxed(b"mvhd", &[&[0; 12][..], &1000_u32.to_be_bytes(), &3200_u32.to_be_bytes()].concat());
    [boxed(b"ftyp", b"isom"), boxed(b"mdat", &[7; 1000]), boxed(b"moov", &mvhd)].concat()
}

pub(crate) struct Host {
    directory: TempDir,
    /// What the configuration says under `[recordings]`, and further sections.
    settings: String,
    monitor: Monitor,
    writer: Option<Writer>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Host {
    pub(crate) fn start() -> Self {
        Self::start_monitored(Monitor::default())
    }

    /// With what Jibri says to this monitor.
    pub(crate) fn start_monitored(monitor: Monitor) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let settings = format!("roots = [\"{}/recordings\"]", directory.path().display());
        Self::begin(directory, settings, monitor)
    }

    /// With these settings in `[recordings]`, instead of the one root, and further sections.
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::begin(tempfile::tempdir().unwrap(), settings.to_owned(), Monitor::default())
    }

    fn begin(directory: TempDir, settings: String, monitor: Monitor) -> Self {
        let mut host =
            Self { directory, settings, monitor, writer: None, stop: Stop::new().unwrap(), thread: None };
        host.run();
        host
    }

    fn run(&mut self) {
        let more = format!("[recordings]\norphan-after-seconds = 1\nrescan-seconds = 1\n{}\n", self.settings);
        let config = config(self.directory.path(), &more);
        let (writer, _) = Outbox::open(&config.outbox.directory, config.outbox.limits()).unwrap();
        self.stop = Stop::new().unwrap();
        let recordings = Recordings::new(
            &config.recordings,
            Finder::new(&config.recordings, &config.jibri),
            self.monitor.clone(),
            Rooms::new(&config.api.rooms),
            writer.outbox(),
            self.stop.clone(),
        )
        .unwrap();
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

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("recordings")
    }

    pub(crate) fn session(&self, name: &str) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// The notices so far: room, status, and the body.
    pub(crate) fn notices(&self) -> Vec<Value> {
        deliveries(&self.directory.path().join("outbox"))
            .iter()
            .filter(|delivery| delivery.state == State::Ready)
            .map(|delivery| serde_json::from_slice(&delivery.body).unwrap())
            .collect()
    }

    pub(crate) fn notice_of(&self, session: &str) -> Value {
        eventually(session, || self.notices_of(session).pop())
    }

    pub(crate) fn notices_of(&self, session: &str) -> Vec<Value> {
        self.notices().into_iter().filter(|notice| notice["session_id"] == session).collect()
    }

    /// Returns once the agent has looked at everything that is there now: a look that finds the second of two new
    /// sessions began after the first was found.
    pub(crate) fn look_has_passed(&self) {
        for name in ["passed-1", "passed-2"] {
            let session = self.session(name);
            write(&session, "reflector-passed_2026-08-05-13-56-46.mp4", &mp4());
            write(&session, "metadata.json", METADATA);
            self.notice_of(name);
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.halt();
    }
}

pub(crate) fn write(directory: &Path, name: &str, bytes: &[u8]) {
    fs::write(directory.join(name), bytes).unwrap();
}

pub(crate) const METADATA: &[u8] = br#"{"meeting_url":"https://meet.example.com/Reflector-Daily?jwt=SECRET","participants":[{"user":{"name":"Alice"}}],"upload_credentials":{"token":"SECRET"},"conference_details":{"session_id":"m-1"}}"#;

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

#[test]
fn a_second_attempt_in_the_same_session_waits_for_its_own_metadata() {
    let host = Host::start();
    let session = host.session("s1");
    write(&session, "reflector-daily_2026-08-05-13-56-46.mp4", &mp4());
    write(&session, "metadata.json", METADATA);
    let first = host.notice_of("s1");
    let second = session.join("reflector-daily_2026-08-05-14-02-11.mp4");
    let mut recorder = fs::File::create(&second).unwrap();
    recorder.write_all(&mp4()[..500]).unwrap();
    host.look_has_passed();
    assert_eq!(host.notices_of("s1"), std::slice::from_ref(&first), "the second attempt is still recorded");
    recorder.write_all(&mp4()[500..]).unwrap();
    drop(recorder);
    write(&session, "metadata.json", METADATA);
    let told = eventually("the second attempt", || {
        host.notices_of("s1").into_iter().find(|notice| notice["recording_file"] == second.to_str().unwrap())
    });
    assert_eq!((&told["recording_status"], &told["size_bytes"]), (&"completed".into(), &mp4().len().into()));
    assert_eq!(host.notices_of("s1").len(), 2, "each attempt is told once");
}

#[test]
fn a_recording_that_goes_on_after_it_was_given_up_is_told_again() {
    let host = Host::start();
    let session = host.session("s1");
    let path = session.join("reflector-a_2026-08-05-13-56-46.mp4");
    fs::write(&path, &mp4()[..500]).unwrap();
    assert_eq!(host.notice_of("s1")["recording_status"], "truncated");
    let mut recorder = fs::File::options().append(true).open(&path).unwrap();
    recorder.write_all(&mp4()[500..]).unwrap();
    drop(recorder);
    eventually("the whole file", || {
        host.notices_of("s1").into_iter().find(|notice| notice["recording_status"] == "orphaned")
    });
}

#[test]
fn metadata_that_is_taken_away_changes_nothing() {
    let host = Host::start();
    let session = host.session("s1");
    write(&session, "reflector-a_2026-08-05-13-56-46.mp4", &mp4());
    write(&session, "metadata.json", METADATA);
    host.notice_of("s1");
    fs::remove_file(session.join("metadata.json")).unwrap();
    host.look_has_passed();
    let later = host.session("later");
    write(&later, "reflector-b_2026-08-05-13-56-46.mp4", &mp4());
    host.notice_of("later");
    write(&session, "reflector-c_2026-08-05-13-57-46.mp4", &mp4());
    write(&session, "metadata.json", METADATA);
    eventually("another recording", || (host.notices_of("s1").len() > 1).then_some(()));
    let told: Vec<_> =
        host.notices_of("s1").iter().map(|notice| notice["recording_status"].clone()).collect();
    assert_eq!(told, ["completed", "completed"]);
}

#[test]
fn metadata_that_cannot_be_read_is_waited_for() {
    let host = Host::start();
    let session = host.session("s1");
    write(&session, "reflector-a_2026-08-05-13-56-46.mp4", &mp4());
    fs::create_dir(session.join("metadata.json")).unwrap();
    let later = host.session("later");
    write(&later, "reflector-b_2026-08-05-13-56-46.mp4", &mp4());
    host.notice_of("later");
    host.look_has_passed();
    assert_eq!(host.notices_of("s1"), [] as [Value; 0], "nobody knows whether it is finished");
    fs::remove_dir(session.join("metadata.json")).unwrap();
    write(&session, "metadata.json", METADATA);
    assert_eq!(host.notice_of("s1")["recording_status"], "completed");
}

#[test]
fn a_stop_does_not_wait_for_a_huge_file() {
    let mut host = Host::start();
    let session = host.session("s1");
    let path = session.join("reflector-a_2026-08-05-13-56-46.mp4");
    // Sparse: nothing on disk, but an hour's reading.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    write(&session, "metadata.json", METADATA);
    eventually("the file is being read", || {
        let mut descriptors = fs::read_dir("/proc/self/fd").unwrap().flatten();
        descriptors.find(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|target| target == path))
    });
    let told = Instant::now();
    host.halt();
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    assert!(host.notices().is_empty());
}
