//! `finalize`: both calling forms, a script behind it, and recordings that the script deletes.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use agent::kept::{self, Sweep};
use agent::outbox::log::DeliveryLog;
use agent::outbox::model::{Kind, NewItem, Progress};
use agent::outbox::uploads::{Ending, FileIdentity, NewRecording, UploadState};
use agent::outbox::{Limits, Outbox, Writer};
use agent::recordings::identity::Identity;
use agent::recordings::notice::{self, Finished, Origin};
use agent::recordings::sidecar::Sidecar;
use agent::recordings::stage::Stage;
use agent::rooms::Rooms;

use super::drain::{Running, configured};
use super::server::Server;
use super::{program, text};
use crate::support::{config_file, eventually, item};

/// A session directory with a finished recording.
fn session(directory: &Path) -> PathBuf {
    let session = directory.join("recordings/4a0f2c1e");
    std::fs::create_dir_all(&session).unwrap();
    std::fs::write(session.join("standup.mp4"), "media").unwrap();
    std::fs::write(session.join("metadata.json"), "{}").unwrap();
    session
}

fn script(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("next.sh");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    path
}

#[test]
fn whatever_it_is_called_with_it_ends_at_once_and_well() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    let broken = directory.path().join("broken.toml");
    std::fs::write(&broken, "[outbox\n").unwrap();
    let session = session(directory.path());
    let file = session.join("standup.mp4");
    for (config, arguments) in [
        (&config, vec![session.to_str().unwrap()]),
        (&config, vec![file.to_str().unwrap(), "standup"]),
        (&config, vec!["/test/recording.mp4", "test-room"]),
        (&config, vec![]),
        (&config, vec!["--then"]),
        (&config, vec!["--no-such-option", "x"]),
        (&config, vec!["--then", "/no/such/script", session.to_str().unwrap()]),
        (&broken, vec![session.to_str().unwrap()]),
    ] {
        let started = Instant::now();
        let output = program(config, &[&["finalize"][..], &arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        assert!(output.stdout.is_empty(), "Jibri logs what is written: {output:?}");
        assert!(started.elapsed() < Duration::from_secs(10), "{arguments:?}");
    }
    let before: Vec<_> =
        std::fs::read_dir(&session).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(before.len(), 2, "nothing is written into the session directory: {before:?}");
}

#[test]
fn a_script_behind_it_gets_jibris_arguments_and_its_end_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    let (session, seen) = (session(directory.path()), directory.path().join("seen"));
    let next = script(directory.path(), &format!("echo \"$# $1\" > {}; exit 7", seen.display()));
    let arguments = ["finalize", "--then", next.to_str().unwrap(), "--", session.to_str().unwrap()];
    let output = program(&config, &arguments).output().unwrap();
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("exit status: 7"), "{output:?}");
    assert_eq!(std::fs::read_to_string(seen).unwrap(), format!("1 {}\n", session.display()));
}

/// A recording of which a link alone is left, the sweep that may remove it, and the outbox.
struct Kept {
    directory: tempfile::TempDir,
    /// Where Jibri had put it.
    file: PathBuf,
    link: PathBuf,
    writer: Writer,
    sweep: Sweep,
}

impl Kept {
    /// Only the room `standup` is reported; the recording is of `room`.
    fn of(room: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config_file(directory.path(), "");
        let session = session(directory.path());
        let metadata = format!("{{\"meeting_url\":\"https://meet.example.com/{room}\",\"participants\":[]}}");
        std::fs::write(session.join("metadata.json"), metadata).unwrap();
        let next = script(directory.path(), "rm -r \"$1\"");
        let arguments = ["finalize", "--then", next.to_str().unwrap(), "--", session.to_str().unwrap()];
        assert!(program(&config, &arguments).output().unwrap().status.success());
        assert!(!session.exists());
        let file = session.join("standup.mp4");
        let link = kept::link_of(&file).unwrap();
        let limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };
        let outbox = directory.path().join("outbox");
        let (writer, _) = Outbox::open(&outbox, limits).unwrap();
        let rooms = Rooms::new(&["standup".to_owned()]);
        let sweep = Sweep::new(DeliveryLog::open(&outbox).unwrap(), rooms).unwrap();
        Self { directory, file, link, writer, sweep }
    }

    /// The notice of the file as it is now, as the agent writes it at this stage.
    fn notice(&self, stage: Stage) -> NewItem {
        let origin = Origin { host: String::new(), host_id: self.writer.outbox().host_id().to_owned() };
        let identity = Identity::of(&std::fs::metadata(&self.link).unwrap());
        let sidecar = Sidecar::Absent;
        let finished = Finished { stage, ..Finished::found(&self.file, &sidecar) };
        let mut notice = item(notice::id(&origin, &finished, &identity).as_str(), "standup");
        notice.kind = Kind::Recording;
        notice
    }

    /// Tells it where nothing is uploaded.
    fn tell(&self, stage: Stage) {
        let progress = Progress::Recording { path: self.file.display().to_string() };
        self.writer.outbox().append(&[self.notice(stage)], &progress).unwrap();
    }

    /// Queues its upload and ends it.
    fn upload(&self, ending: Option<(UploadState, bool)>) {
        let (outbox, notice) = (self.writer.outbox().uploading(), self.notice(Stage::Closed));
        let recording = NewRecording {
            notice: notice.clone(),
            path: self.file.clone(),
            file: FileIdentity::of(&std::fs::metadata(&self.link).unwrap()),
            sha256: "ab".repeat(32),
        };
        outbox.queue_recording(&recording).unwrap();
        if let Some((state, releases)) = ending {
            let ending = Ending { state, object: None, note: None, notice, releases };
            outbox.end_upload(1, &ending).unwrap();
        }
    }

    /// Looks `later` than now. Returns whether the link is still there.
    fn outlives_a_sweep(&mut self, later: Duration) -> bool {
        let root = self.directory.path().join("recordings");
        self.sweep.pass(&[root], Instant::now() + later).unwrap();
        self.link.exists()
    }
}

const YEAR: Duration = Duration::from_hours(24 * 365);

#[test]
fn a_recording_that_a_script_deletes_is_kept_until_nobody_needs_it() {
    let mut kept = Kept::of("standup");
    assert_eq!(std::fs::read_to_string(&kept.link).unwrap(), "media");
    File::open(&kept.link).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    for later in [Duration::ZERO, YEAR] {
        assert!(kept.outlives_a_sweep(later), "nobody has read it yet, whatever the clocks say");
    }
    kept.tell(Stage::Abandoned);
    assert!(kept.outlives_a_sweep(YEAR), "it was told before its metadata came, and is to be told again");
    kept.tell(Stage::Closed);
    assert!(!kept.outlives_a_sweep(Duration::ZERO), "it was told, and nobody uploads it");
    assert!(!kept.link.parent().unwrap().exists());
    kept.writer.close();
}

#[test]
fn the_only_copy_goes_when_it_is_in_the_storage_or_nobody_wants_it_there() {
    for (ending, stays) in [
        (None, true),
        (Some((UploadState::Verified, true)), false),
        (Some((UploadState::Kept, true)), false),
        (Some((UploadState::Kept, false)), true),
        (Some((UploadState::GivenUp, false)), true),
    ] {
        let mut kept = Kept::of("standup");
        kept.upload(ending);
        assert_eq!(kept.outlives_a_sweep(YEAR), stays, "{ending:?}");
        kept.writer.close();
    }
}

#[test]
fn a_file_that_was_written_anew_is_not_the_one_that_was_told() {
    let mut kept = Kept::of("standup");
    kept.tell(Stage::Closed);
    std::fs::write(&kept.link, "media, and more").unwrap();
    assert!(kept.outlives_a_sweep(YEAR));
    kept.writer.close();
}

#[test]
fn a_recording_of_a_room_that_is_never_reported_is_not_kept_for_long() {
    let mut kept = Kept::of("another");
    for (minutes, stays) in [(0, true), (59, true), (60, false)] {
        let later = Duration::from_mins(minutes);
        assert_eq!(kept.outlives_a_sweep(later), stays, "after {minutes} minutes");
    }
    kept.writer.close();
}

#[test]
fn a_recording_is_reported_once_under_jibris_name_whatever_the_script_did_before_the_agent_ran() {
    for (did, names) in [("true", 2), ("rm -r \"$1\"", 1)] {
        let directory = tempfile::tempdir().unwrap();
        let server = Server::start(time::Duration::ZERO);
        let config = configured(directory.path(), &server);
        let session = session(directory.path());
        let file = session.join("standup.mp4");
        let metadata = "{\"meeting_url\":\"https://meet.example.com/standup\",\"participants\":[]}";
        std::fs::write(session.join("metadata.json"), metadata).unwrap();
        let next = script(directory.path(), did);
        let arguments = ["finalize", "--then", next.to_str().unwrap(), "--", session.to_str().unwrap()];
        assert!(program(&config, &arguments).output().unwrap().status.success());
        let link = kept::link_of(&file).unwrap();
        assert_eq!(std::fs::metadata(link).unwrap().nlink(), names, "{did}");
        let _running = Running::start(&config);
        eventually("the recording's notice", || server.at("/v1/jibri/recording-complete").pop());
        let drained = program(&config, &["drain", "--timeout", "60s"]).output().unwrap();
        assert!(drained.status.success(), "{did}: {drained:?}");
        let notices = server.at("/v1/jibri/recording-complete");
        assert_eq!(notices.len(), 1, "{did}");
        assert_eq!(notices[0]["recording_file"], file.to_str().unwrap(), "{did}");
    }
}
