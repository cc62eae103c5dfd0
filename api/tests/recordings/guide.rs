//! The Whereby guide's variables alone: its bucket, its key with its policy, and its queue lead to a link and to the pipeline.

use std::process::Command;

use api::jobs;
use api::recordings::clean_up::{self, CleanedUp};
use api::recordings::scan::{self, ScanError, Scanned};
use contract::event::Event;
use serde_json::json;
use tempfile::TempDir;
use testbed::s3::{BUCKET, S3};
use testbed::whereby::put;
use time::OffsetDateTime;

use crate::receiver::Receiver;
use crate::scene::{ROOM, Scene, file};

/// What the guide does not name is put away.
const NOT_THE_GUIDE_S: [(&str, &str); 3] = [
    ("RECORDING_STORAGE_BACKEND", ""),
    ("RECORDING_STORAGE_AWS_ACCESS_KEY_ID", ""),
    ("RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY", ""),
];

struct Guide {
    scene: Scene,
    s3: S3,
    receiver: Receiver,
    _directory: TempDir,
}

impl Guide {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The guide's variables and these; the bucket and the queue are on this host, and somebody there is told of recordings.
    async fn with(changes: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let s3 = S3::start(directory.path()).unwrap();
        let receiver = Receiver::start().await;
        let (pipeline, bucket) = (receiver.url("/pipeline"), s3.whereby_environment());
        let guide = [
            ("WHEREBY_API_KEY", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"),
            ("WHEREBY_WEBHOOK_SECRET", "5c1d6f0a9b8e7d3c2f4a"),
            ("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8"),
            ("PIPELINE_WEBHOOK_URL", &pipeline),
            ("PIPELINE_WEBHOOK_SECRET", "f0e1d2c3b4a5968778695a4b3c2d1e0f"),
        ];
        let bucket = bucket.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<_> =
            NOT_THE_GUIDE_S.into_iter().chain(guide).chain(bucket).chain(changes.iter().copied()).collect();
        let scene = Scene::with(&variables).await;
        Self { scene, s3, receiver, _directory: directory }
    }

    /// Whereby leaves a recording, of which the bucket tells.
    async fn record(&self, key: &str) {
        put(&self.s3, key, b"film").unwrap();
        let told = json!({"Records": [{
            "eventName": "ObjectCreated:Put", "eventTime": "2026-03-01T10:30:00.000Z",
            "s3": {"bucket": {"name": BUCKET}, "object": {"key": key.replace(':', "%3A"), "size": 4}},
        }]});
        self.scene.place.say(&told.to_string()).unwrap();
        let consumer = self.scene.listen();
        self.scene.until_states(&["stored"]).await;
        self.scene.until_read().await;
        consumer.stop().await;
    }

    async fn scan(&self) -> Result<Scanned, ScanError> {
        let state = &self.scene.state;
        scan::run(&state.db, state.storage.as_ref().unwrap(), &state.config).await
    }

    async fn clean_up(&self) -> CleanedUp {
        let state = &self.scene.state;
        clean_up::clean_up(&state.db, state.storage.as_deref(), OffsetDateTime::now_utc()).await.unwrap()
    }

    /// Runs `reflector-api check` with these variables besides.
    fn check(&self, changes: &[(&str, &str)]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-api"));
        let command = command.arg("check").env_clear().envs(&self.scene.variables);
        // Whereby is not on this host.
        let output = command.env("WHEREBY_API_KEY", "").envs(changes.iter().copied()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guide_s_variables_lead_from_the_bucket_to_a_link_and_to_the_pipeline() {
    let guide = Guide::new().await;
    assert!(guide.scene.state.uploads.is_none(), "hosts' uploads are not for Whereby's bucket");
    let names: Vec<_> = jobs::list(&guide.scene.state).iter().map(|job| job.name).collect();
    assert!(!names.contains(&jobs::CLEAN_UPLOADS) && names.contains(&jobs::SCAN_BUCKETS), "{names:?}");
    let key = file(ROOM, 2);
    guide.record(&key).await;

    let (status, list) = guide.scene.get("/v1/meetings/m/recordings", "owner").await;
    assert_eq!((status, &list[0]["state"]), (200, &json!("stored")));
    let path = format!("/v1/recordings/{}/download", list[0]["id"].as_str().unwrap());
    let (status, answer) = guide.scene.get(&path, "owner").await;
    assert_eq!(status, 200, "{answer}");

    let sending = guide.scene.state.webhooks.start();
    let told = guide.receiver.receive("/pipeline", 1).await.remove(0);
    sending.stop().await;
    assert_eq!(told.body["recording"]["object_key"], key);
    for link in [&answer["url"], &list[0]["download_url"], &told.body["recording"]["download_url"]] {
        let got = reqwest::get(link.as_str().unwrap()).await.unwrap();
        assert_eq!((got.status().as_u16(), got.bytes().await.unwrap().as_ref()), (200, &b"film"[..]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_queue_an_announced_recording_is_found_although_the_bucket_may_not_be_listed() {
    let guide = Guide::with(&[("RECORDING_STORAGE_AWS_BUCKET_NAME", &format!("{BUCKET}/of/whereby"))]).await;
    let (there, elsewhere) = (file(ROOM, 2), file(ROOM, 3));
    for name in [&there, &elsewhere] {
        let event = json!({
            "id": name, "event": "recording.finished", "room": ROOM, "timestamp": "2026-03-01T10:31:00Z",
            "data": {"filename": name, "status": "completed"},
        });
        let event = Event::parse(event.to_string().as_bytes()).unwrap();
        guide.scene.state.ingest.store(vec![event], 100).await.unwrap();
    }
    guide.scene.execute("UPDATE reflector.recording SET announced_at = now()").await;
    guide.scene.until_states(&["announced", "announced"]).await;
    put(&guide.s3, &format!("of/whereby/{there}"), b"film").unwrap();
    assert_ne!(guide.scan().await.unwrap(), Scanned::default());
    let rows = guide.scene.until_states(&["stored", "announced"]).await;
    assert!(rows.iter().any(|row| row.object_key == Some(format!("of/whereby/{there}"))), "{rows:?}");
    assert_eq!(guide.scan().await.unwrap(), Scanned::default());
    let (_, list) = guide.scene.get("/v1/meetings/m/recordings", "owner").await;
    let links: Vec<_> =
        list.as_array().unwrap().iter().filter_map(|file| file["download_url"].as_str()).collect();
    assert_eq!(reqwest::get(links[0]).await.unwrap().bytes().await.unwrap().as_ref(), b"film");
    assert_eq!(links.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_guide_s_policy_does_not_allow_is_no_failure_again_and_again() {
    let guide = Guide::with(&[("RECORDING_RETENTION_DAYS", "1")]).await;
    guide.record(&file(ROOM, 2)).await;
    guide.scene.execute("UPDATE reflector.recording SET completed_at = now() - interval '2 days'").await;
    for _ in 0..2 {
        assert_eq!(guide.scan().await.unwrap(), Scanned::default());
        assert_eq!(guide.clean_up().await, CleanedUp::default());
    }
    guide.scene.until_states(&["stored"]).await;

    // A key that may more does more.
    let keys = guide.s3.keys();
    let more = Guide::with(&[
        ("RECORDING_RETENTION_DAYS", "1"),
        ("RECORDING_STORAGE_AWS_ENDPOINT_URL", &guide.s3.url()),
        ("AWS_WHEREBY_ACCESS_KEY_ID", &keys.access_key),
        ("AWS_WHEREBY_ACCESS_KEY_SECRET", &keys.secret_key),
    ])
    .await;
    assert_ne!(more.scan().await.unwrap(), Scanned::default());
    more.scene.execute("UPDATE reflector.recording SET completed_at = now() - interval '2 days'").await;
    assert_ne!(more.clean_up().await, CleanedUp::default());
    more.scene.until_states(&["deleted"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_no_good_fails_with_the_guide_s_own_variable() {
    let guide = Guide::with(&[("AWS_WHEREBY_ACCESS_KEY_ID", "AKIASOMEBODYELSE")]).await;
    let error = format!("{:#}", guide.scan().await.unwrap_err());
    assert!(error.contains("AWS_WHEREBY_ACCESS_KEY_ID"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_reads_whereby_s_bucket_and_writes_nothing() {
    let guide = Guide::new().await;
    let (code, said) = guide.check(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("AWS_WHEREBY_ACCESS_KEY_ID") && said.contains("Without s3:ListBucket"), "{said}");
    assert!(said.contains("The queue answers"), "the queue is asked with the same key: {said}");
    assert_eq!(guide.s3.open_uploads().unwrap(), 0);
    let keys = guide.s3.keys();
    for (changes, code, expected) in [
        (
            vec![
                ("AWS_WHEREBY_ACCESS_KEY_ID", keys.access_key.as_str()),
                ("AWS_WHEREBY_ACCESS_KEY_SECRET", &keys.secret_key),
            ],
            0,
            "reads and lists",
        ),
        (vec![("AWS_WHEREBY_ACCESS_KEY_ID", "AKIASOMEBODYELSE")], 1, "error: AWS_WHEREBY_ACCESS_KEY_ID: "),
        (
            vec![("AWS_WHEREBY_ACCESS_KEY_SECRET", "0011223344556677")],
            1,
            "error: AWS_WHEREBY_ACCESS_KEY_SECRET: ",
        ),
        (
            vec![("RECORDING_STORAGE_AWS_BUCKET_NAME", "nowhere")],
            1,
            "error: RECORDING_STORAGE_AWS_BUCKET_NAME: ",
        ),
    ] {
        let more = [("AWS_PROCESS_RECORDING_QUEUE_URL", "")];
        let (found, said) = guide.check(&[&changes[..], &more].concat());
        assert_eq!(found, Some(code), "{changes:?} {said}");
        assert!(said.contains(expected), "{said}");
    }
}
