//! `finalize`: both calling forms, a script behind it, and recordings that the script deletes.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::kept;
use agent::outbox::log::DeliveryLog;
use agent::outbox::model::{Kind, Progress};
use agent::outbox::{Limits, Outbox};

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

#[test]
fn a_recording_that_a_script_deletes_is_kept_until_nobody_needs_it() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    let (session, root) = (session(directory.path()), directory.path().join("recordings"));
    let next = script(directory.path(), "rm -r \"$1\"");
    let arguments = ["finalize", "--then", next.to_str().unwrap(), "--", session.to_str().unwrap()];
    assert!(program(&config, &arguments).output().unwrap().status.success());
    let file = session.join("standup.mp4");
    assert!(!session.exists());
    let link = kept::link_of(&file).unwrap();
    assert_eq!(std::fs::read_to_string(&link).unwrap(), "media");

    let limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };
    let outbox = directory.path().join("outbox");
    let (writer, _) = Outbox::open(&outbox, limits).unwrap();
    let log = DeliveryLog::open(&outbox).unwrap();
    kept::sweep(&root, &log).unwrap();
    assert!(link.exists(), "nobody has read it yet");
    let mut notice = item("evt_1", "standup");
    notice.kind = Kind::Recording;
    let progress = Progress::Recording { path: file.display().to_string() };
    writer.outbox().append(&[notice], &progress).unwrap();
    kept::sweep(&root, &log).unwrap();
    assert!(!link.parent().unwrap().exists(), "it was reported, and nobody uploads it");
    writer.close();
}

#[test]
fn a_recording_that_was_deleted_before_the_agent_ran_is_reported_once_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(time::Duration::ZERO);
    let config = configured(directory.path(), &server);
    let session = session(directory.path());
    let metadata = "{\"meeting_url\":\"https://meet.example.com/standup\",\"participants\":[]}";
    std::fs::write(session.join("metadata.json"), metadata).unwrap();
    let next = script(directory.path(), "rm -r \"$1\"");
    let arguments = ["finalize", "--then", next.to_str().unwrap(), "--", session.to_str().unwrap()];
    assert!(program(&config, &arguments).output().unwrap().status.success());
    assert!(!session.exists());
    let _running = Running::start(&config);
    eventually("the recording's notice", || server.at("/v1/jibri/recording-complete").pop());
    let drained = program(&config, &["drain", "--timeout", "60s"]).output().unwrap();
    assert!(drained.status.success(), "{drained:?}");
    assert_eq!(server.at("/v1/jibri/recording-complete").len(), 1);
}
