//! Recordings get into the object storage through the real agent and the real API, whatever is killed or cut meanwhile.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testbed::agent::{Agent, Settings};
use testbed::api::{self, Api};
use testbed::ports;
use testbed::proxy::{Mode, Proxy};
use testbed::s3::S3;
use testbed::secrets::Secrets;
use testbed::wait::eventually;

/// How long anything that must happen may take.
const SOON: Duration = Duration::from_mins(2);

/// The smallest parts that a storage takes.
const PART: usize = 5 << 20;

/// An agent, an API and a storage; the storage is reached through a proxy.
struct Scene {
    agent: Agent,
    api: Api,
    client: api::Client,
    s3: S3,
    line: Proxy,
    directory: TempDir,
}

impl Scene {
    /// A scene whose agent sends no more than so many bytes per second.
    fn new(max_bytes_per_second: u32) -> Self {
        let directory = TempDir::with_prefix("reflector-").unwrap();
        let at = directory.path();
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
        let secrets = Secrets::random().unwrap();
        let s3 = S3::start(&at.join("s3")).unwrap();
        let line = Proxy::start(s3.address().port()).unwrap();
        let mut storage = s3.environment();
        storage.push(("RECORDING_STORAGE_AWS_PUBLIC_ENDPOINT_URL", line.url()));
        storage.push(("RECORDING_UPLOAD_PART_BYTES", PART.to_string()));
        let api = Api::start(&at.join("api"), &at.join("api.log"), ports::free().unwrap(), &secrets, storage)
            .unwrap();
        let more = at.join("agent/agent.d");
        fs::create_dir_all(&more).unwrap();
        let limit = format!("[upload]\nmax-bytes-per-second = {max_bytes_per_second}\nparallel-parts = 3\n");
        fs::write(more.join("upload.toml"), limit).unwrap();
        for name in ["spool", "recordings"] {
            fs::create_dir(at.join(name)).unwrap();
        }
        let settings = Settings {
            url: &api.url(),
            secret: &secrets.webhook,
            spool: &at.join("spool"),
            recordings: &at.join("recordings"),
            orphan_after_seconds: 5,
        };
        let agent = Agent::start(&at.join("agent"), settings).unwrap();
        let client = api.client("demo").unwrap();
        Self { agent, api, client, s3, line, directory }
    }

    /// A finished recording of so many bytes, as Jibri leaves it. Returns the media file.
    fn record(&self, room: &str, session: &str, length: usize) -> PathBuf {
        let directory = self.directory.path().join("recordings").join(session);
        fs::create_dir(&directory).unwrap();
        let media = directory.join(format!("{room}_2026-08-05-13-56-46.ts"));
        let mut random = fastrand::Rng::with_seed(length as u64);
        fs::write(&media, std::iter::repeat_with(|| random.u8(..)).take(length).collect::<Vec<u8>>())
            .unwrap();
        let metadata = format!("{{\"meeting_url\":\"https://meet.test/{room}\",\"participants\":[]}}");
        fs::write(directory.join("metadata.json"), metadata).unwrap();
        media
    }

    /// The finished recordings that the API shows for a meeting.
    fn recordings(&self, meeting: &api::Meeting) -> Vec<Value> {
        let Ok(shown) = self.client.meeting(&meeting.id) else { return Vec::new() };
        let recordings = shown["recordings"].as_array().cloned().unwrap_or_default();
        recordings
            .iter()
            .flat_map(|recording| recording["files"].as_array().cloned().unwrap_or_default())
            .collect()
    }

    /// Waits for the meeting's one recording.
    fn recording(&self, meeting: &api::Meeting) -> Value {
        let mut found = Vec::new();
        let there = eventually(SOON, || {
            found = self.recordings(meeting);
            !found.is_empty()
        });
        assert!(there, "no recording is shown; {}", self.agent.ask(&["status"]).unwrap());
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// How many parts the storage has of unfinished uploads. Each is a file that begins with its number.
    fn parts(&self) -> usize {
        let entries = |path: &Path| -> Vec<PathBuf> {
            fs::read_dir(path)
                .map_or_else(|_| Vec::new(), |list| list.flatten().map(|entry| entry.path()).collect())
        };
        let is_part =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.as_encoded_bytes()[0].is_ascii_digit());
        let uploads = entries(&self.directory.path().join("s3/.uploads"));
        uploads.iter().flat_map(|upload| entries(upload)).filter(is_part).count()
    }

    /// Asserts that the storage holds the recording's file and the API offers it.
    fn assert_stored(&self, recording: &Value, media: &Path) {
        let expected = fs::read(media).unwrap();
        let key = recording["object_key"].as_str().unwrap();
        assert!(fs::read(self.s3.object(key)).unwrap() == expected, "the object is another one");
        assert_eq!(recording["size_bytes"], expected.len());
        let sum = Command::new("sha256sum").arg(media).output().unwrap().stdout;
        let sum = String::from_utf8(sum).unwrap();
        assert_eq!(recording["sha256"].as_str().unwrap(), sum.split(' ').next().unwrap());
        let url = recording["download_url"].as_str().unwrap();
        let mut answer = ureq::get(url).call().unwrap();
        let offered = answer.body_mut().with_config().limit(u64::MAX).read_to_vec().unwrap();
        assert!(offered == expected, "the link leads to something else");
        assert_eq!(self.s3.open_uploads().unwrap(), 0);
    }
}

#[test]
fn kills_at_any_moment_give_one_verified_object_and_one_notice() {
    let mut scene = Scene::new(25_000_000);
    scene.client.ensure_cloud_room("cloud").unwrap();
    let meeting = scene.client.create_meeting("cloud").unwrap();
    let media = scene.record(&meeting.room_name, "s-1", 11 * PART + 12_345);
    let mut kills = 0;
    while scene.recordings(&meeting).is_empty() {
        let before = scene.parts();
        let more = fastrand::usize(0..=2);
        let all = 12;
        assert!(eventually(SOON, || {
            let now = scene.parts();
            // Nothing is left to wait for once the parts are put together.
            now >= (before + more).min(all) || now < before || !scene.recordings(&meeting).is_empty()
        }));

        // Anywhere in a part, or between two requests.
        std::thread::sleep(Duration::from_millis(fastrand::u64(0..100)));
        if kills % 4 == 3 {
            scene.api.process().kill().unwrap();
            scene.api.restart().unwrap();
        } else {
            scene.agent.process().kill().unwrap();
            scene.agent.restart().unwrap();
        }
        kills += 1;
        assert!(kills < 200, "the upload does not come to an end; {}", scene.agent.ask(&["status"]).unwrap());
    }

    assert!(kills >= 3, "only {kills} kills");
    let recording = scene.recording(&meeting);
    scene.assert_stored(&recording, &media);
    let notices = "SELECT count(*) FROM reflector.meeting_event WHERE name = 'recording_completed'";
    assert_eq!(scene.api.sql(notices).unwrap().trim(), "1");
}

#[test]
fn a_line_to_the_storage_that_breaks_costs_parts_and_no_more() {
    let scene = Scene::new(40_000_000);
    scene.client.ensure_cloud_room("cloud").unwrap();
    let meeting = scene.client.create_meeting("cloud").unwrap();
    let media = scene.record(&meeting.room_name, "s-1", 6 * PART + 1);
    for cut in 1..=4 {
        assert!(eventually(SOON, || scene.parts() >= cut || !scene.recordings(&meeting).is_empty()));
        scene.line.set(Mode::Cut);
        std::thread::sleep(Duration::from_millis(300));
        scene.line.set(Mode::Pass);
    }
    let recording = scene.recording(&meeting);
    scene.assert_stored(&recording, &media);
}

#[test]
fn a_local_recording_is_reported_at_once_and_not_uploaded() {
    let scene = Scene::new(0);
    scene.client.ensure_room("local").unwrap();
    let meeting = scene.client.create_meeting("local").unwrap();
    let media = scene.record(&meeting.room_name, "s-1", 1000);
    let recording = scene.recording(&meeting);
    assert_eq!(recording["size_bytes"], 1000);
    assert!(recording["download_url"].is_null(), "{recording}");
    assert_eq!(scene.s3.open_uploads().unwrap(), 0);
    assert!(media.exists());
}
