//! The Jibri stand-in leaves on disk what Jibri leaves there.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use testbed::jibri::{Jibri, Meeting};

const SESSION: &str = "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21";
const MEETING: Meeting<'_> =
    Meeting { url: "https://meet.test/standup", participants: &[("u-17", "Alice")], session_id: "4a0f2c1e" };

struct Studio {
    directory: TempDir,
    jibri: Jibri,
}

impl Studio {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let jibri = Jibri::new(&directory.path().join("recordings"), &directory.path().join("ffmpeg.log"));
        Self { directory, jibri }
    }

    fn session_directory(&self) -> PathBuf {
        self.directory.path().join("recordings").join(SESSION)
    }
}

/// The duration in seconds that ffprobe reads from a media file; `None` when it cannot be played.
fn duration(media: &Path) -> Option<f64> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
        .arg(media)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().ok()
}

#[test]
fn a_recording_grows_and_ends_with_playable_media_metadata_and_the_finalize_call() {
    let studio = Studio::new();
    let script = studio.directory.path().join("finalize.sh");
    let called_with = studio.directory.path().join("called-with");
    fs::write(&script, format!("#!/bin/sh\nls \"$1\" > {}\necho \"$#\" >> {0}\n", called_with.display()))
        .unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();

    let recording = studio.jibri.clone().with_finalize(&script).record(SESSION, "standup").unwrap();
    assert_eq!(
        fs::read_dir(recording.directory()).unwrap().count(),
        1,
        "nothing but the media while it grows"
    );
    recording.grow(20_000, Duration::from_secs(20)).unwrap();
    let media = recording.stop(MEETING).unwrap().unwrap();

    assert!(duration(&media).unwrap() > 0.5);
    assert!(media.file_name().unwrap().to_str().unwrap().starts_with("standup_20"));
    let metadata: serde_json::Value =
        serde_json::from_slice(&fs::read(studio.session_directory().join("metadata.json")).unwrap()).unwrap();
    assert_eq!(metadata["meeting_url"], "https://meet.test/standup");
    assert_eq!(metadata["participants"][0]["user"]["name"], "Alice");
    assert_eq!(metadata["conference_details"]["session_id"], "4a0f2c1e");
    let seen = fs::read_to_string(called_with).unwrap();
    assert!(seen.contains("metadata.json") && seen.ends_with("\n1\n"), "{seen}");
}

#[test]
fn a_recording_without_media_leaves_nothing() {
    let studio = Studio::new();
    let recording = studio.jibri.accept(SESSION, "standup").unwrap();
    assert!(studio.session_directory().is_dir());
    assert_eq!(recording.stop(MEETING).unwrap(), None);
    assert!(!studio.session_directory().exists());
}

#[test]
fn a_crash_leaves_media_that_cannot_be_played_and_no_metadata() {
    let studio = Studio::new();
    let media = studio.jibri.record(SESSION, "standup").unwrap().crash().unwrap();
    assert!(fs::metadata(&media).unwrap().len() > 0);
    assert_eq!(duration(&media), None);
    assert!(!studio.session_directory().join("metadata.json").exists());
}
