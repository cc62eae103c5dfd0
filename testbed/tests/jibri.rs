//! The Jibri stand-in leaves on disk what Jibri leaves there.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use testbed::jibri::{Format, Jibri, Meeting};
use testbed::load::{Agent, Settings};
use testbed::sink::Sink;

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

#[test]
fn a_matroska_can_be_played_after_a_crash_and_jibri_says_that_it_is_busy() {
    let mut studio = Studio::new();
    studio.jibri = studio.jibri.with_format(Format::Matroska);
    let address = studio.jibri.say_health().unwrap();
    let busy = || {
        let mut answer = ureq::get(format!("http://{address}/jibri/api/v1.0/health")).call().unwrap();
        let answer: serde_json::Value = answer.body_mut().read_json().unwrap();
        answer["status"]["busyStatus"].as_str().unwrap().to_owned()
    };
    assert_eq!(busy(), "IDLE");
    let recording = studio.jibri.record(SESSION, "standup").unwrap();
    assert_eq!(busy(), "BUSY");
    recording.grow(20_000, Duration::from_secs(20)).unwrap();
    let media = recording.crash().unwrap();
    assert_eq!(busy(), "IDLE");
    assert!(media.extension().is_some_and(|extension| extension == "mkv"));
    let status =
        Command::new("ffmpeg").args(["-v", "error", "-i"]).arg(&media).args(["-f", "null", "-"]).status();
    assert!(status.unwrap().success());
}

/// The real agent follows the Jibri that is configured on its host: another directory, another format.
#[test]
fn the_agent_follows_jibris_configuration_to_a_matroska_recording() {
    let studio = Studio::new();
    let at = studio.directory.path();
    let (home, sink) = (at.join("agent"), Sink::start().unwrap());
    let jibri = studio.jibri.clone().with_format(Format::Matroska);
    let health = jibri.say_health().unwrap();
    let secret = "0123456789abcdef0123456789abcdef".to_owned();
    let settings = Settings { url: sink.url(), secret, batch_max_events: None };
    let mut agent = Agent::prepare(&home, &settings).unwrap();
    fs::create_dir_all(home.join("agent.d")).unwrap();
    let drop_in = format!(
        "[api]\nrooms = [\"standup\"]\n[recordings]\nroots = []\nrescan-seconds = 1\n[jibri]\nconfiguration = [{:?}]\nhealth-url = \"http://{health}/\"\n",
        at.join("jibri")
    );
    fs::write(home.join("agent.d/10-jibri.toml"), drop_in).unwrap();
    agent.start().unwrap();
    // Jibri is installed after the agent.
    fs::create_dir_all(at.join("jibri")).unwrap();
    let configuration =
        format!("base = {at:?}\njibri.recording {{ recordings-directory = ${{base}}/recordings }}");
    fs::write(at.join("jibri/jibri.conf"), configuration).unwrap();

    let recording = jibri.record(SESSION, "standup").unwrap();
    recording.grow(20_000, Duration::from_secs(20)).unwrap();
    let media = recording.stop(MEETING).unwrap().unwrap();
    let arrived = sink.wait_until(Duration::from_mins(1), |ledger| ledger.distinct() == 1);
    assert!(arrived, "{}", agent.log_end());
    assert!(agent.log_end().contains(media.to_str().unwrap()), "{}", agent.log_end());
}
