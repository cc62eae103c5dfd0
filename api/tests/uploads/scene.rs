//! The service under test with its object storage, and a host with a recording.

use std::collections::BTreeMap;
use std::path::Path;

use api::app::state;
use api::auth::local::{Grant, sign};
use api::config::{Config, Surroundings, Variables};
use api::http::router::router;
use api::storage::Storage;
use api::uploads::Uploads;
use axum::Router;
use axum::body::Body;
use contract::id::hex;
use contract::signature::{JITSI_SIGNATURE, Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use testbed::s3::S3;
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;

use crate::support::{postgres, wait};

pub(crate) const WEBHOOK_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
pub(crate) const PATH: &str = "/v1/recordings/uploads";
pub(crate) const PART: usize = 5 * 1024 * 1024;

/// The service on a database and a storage of its own, with a meeting for each recording type; their rooms are named after it.
pub(crate) struct Scene {
    pub(crate) service: Service,
    pub(crate) db: PgPool,
    pub(crate) options: PgConnectOptions,
    pub(crate) s3: S3,
    pub(crate) variables: Variables,
    http: reqwest::Client,
    _directory: TempDir,
}

/// One process of the service.
pub(crate) struct Service {
    router: Router,
    pub(crate) config: Config,
    pub(crate) uploads: Option<Uploads>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// A file on a host.
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) room: String,
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with other variables. An empty value takes a variable away.
    pub(crate) async fn with(changes: &[(&str, &str)]) -> Self {
        // Another test may have chosen already; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let directory = tempfile::tempdir().unwrap();
        let s3 = S3::start(directory.path()).unwrap();
        let mut variables: Variables = BTreeMap::from(
            [
                ("JITSI_WEBHOOK_SECRET", WEBHOOK_SECRET),
                ("JITSI_DOMAIN", "meet.example.com"),
                ("JITSI_JWT_SECRET", "6a1f0c2b9d8e47a35b60c1d2e3f40516"),
                ("AUTH_BACKEND", "jwt"),
                ("AUTH_JWT_SECRET", "f0e1d2c3b4a5968778695a4b3c2d1e0f"),
                ("RECORDING_UPLOAD_PART_BYTES", "5242880"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        variables.extend(s3.environment().into_iter().map(|(name, value)| (name.to_owned(), value)));
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (db, options) = postgres::database().await;
        for recording_type in ["cloud", "local", "none"] {
            make_meeting(&db, recording_type).await;
        }
        let service = Service::new(&variables, &db, &options);
        Self { service, db, options, s3, variables, http: reqwest::Client::new(), _directory: directory }
    }

    /// Another process of the same service, with other variables.
    pub(crate) fn replica(&self, changes: &[(&str, &str)]) -> Service {
        let mut variables = self.variables.clone();
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Service::new(&variables, &self.db, &self.options)
    }

    /// Begins an upload; returns its id.
    pub(crate) async fn begin(&self, file: &File) -> String {
        let answer = self.service.offer(file).await.ok();
        assert_eq!((&answer["decision"], &answer["state"]), (&json!("upload"), &json!("open")), "{answer}");
        answer["upload_id"].as_str().unwrap().to_owned()
    }

    /// Sends these parts, with these bytes.
    pub(crate) async fn put(&self, upload: &str, parts: &[(u32, &[u8])]) {
        let numbers: Vec<_> = parts.iter().map(|(number, _)| number).collect();
        let answer =
            self.service.parts(upload, &json!({"numbers": numbers, "list_stored": false})).await.ok();
        for ((_, bytes), url) in parts.iter().zip(answer["urls"].as_array().unwrap()) {
            let (status, body) = self.put_at(url["url"].as_str().unwrap(), bytes.to_vec()).await;
            assert_eq!(status, 200, "{body}");
        }
    }

    /// The answer of the storage.
    pub(crate) async fn put_at(&self, url: &str, bytes: Vec<u8>) -> (u16, String) {
        let answer = self.http.put(url).body(bytes).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// What a browser gets at an address: status, media type and body.
    pub(crate) async fn fetch(&self, url: &str) -> (u16, String, Vec<u8>) {
        let answer = self.http.get(url).send().await.unwrap();
        let media_type = answer.headers().get(CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
        (answer.status().as_u16(), media_type.unwrap_or_default(), answer.bytes().await.unwrap().to_vec())
    }

    /// Begins an upload and sends the whole file; returns the upload's id.
    pub(crate) async fn send(&self, file: &File) -> String {
        let upload = self.begin(file).await;
        let parts: Vec<_> = (1..).zip(file.parts()).collect();
        self.put(&upload, &parts).await;
        upload
    }

    /// Sends the whole file and waits until it is verified; returns the upload's id and the last answer.
    pub(crate) async fn upload(&self, file: &File) -> (String, Value) {
        let upload = self.send(file).await;
        let answer = self.service.completed(&upload, file).await.ok();
        (upload, answer)
    }

    /// What the database knows of an upload: its state, and why it ended.
    pub(crate) async fn state(&self, upload: &str) -> (String, Option<String>) {
        sqlx::query_as("SELECT state, end_reason FROM reflector.upload WHERE id = $1")
            .bind(upload)
            .fetch_one(&self.db)
            .await
            .unwrap()
    }

    /// Runs a statement about the upload `$1`: what time does, for example.
    pub(crate) async fn change(&self, statement: &'static str, upload: &str) {
        let done = sqlx::query(statement).bind(upload).execute(&self.db).await.unwrap();
        assert_eq!(done.rows_affected(), 1);
    }
}

/// A meeting whose room, and whose id, has the name of its recording type. The room belongs to `owner`.
async fn make_meeting(db: &PgPool, recording_type: &str) {
    sqlx::query(
        "INSERT INTO reflector.room (id, name, user_id, created_at, platform, room_mode, recording_type, recording_trigger,
           is_locked, is_shared, zulip_auto_post, zulip_stream, zulip_topic)
         VALUES ($1, $1, 'owner', now(), 'jitsi', 'normal', $1, 'none', false, false, false, '', '')",
    )
    .bind(recording_type)
    .execute(db)
    .await
    .unwrap();
    sqlx::query(
        "INSERT INTO reflector.meeting (id, room_id, room_name, platform, start_date, end_date, is_locked, room_mode,
           recording_type, recording_trigger)
         VALUES ($1, $1, $1, 'jitsi', now(), now() + interval '8 h', false, 'normal', $1, 'none')",
    )
    .bind(recording_type)
    .execute(db)
    .await
    .unwrap();
}

impl Service {
    fn new(variables: &Variables, db: &PgPool, options: &PgConnectOptions) -> Self {
        let read_file = |path: &Path| std::fs::read(path);
        let surroundings = Surroundings { read_file: &read_file, is_root: false };
        let config = Config::read(variables, &surroundings).unwrap().0;
        let state = state(config.clone(), db.clone(), options).unwrap();
        let uploads = state.uploads.clone();
        Self { router: router(state), config, uploads }
    }

    pub(crate) fn storage(&self) -> &Storage {
        self.uploads.as_ref().unwrap().storage()
    }

    pub(crate) async fn request(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(signed(Method::POST, path, &body.to_string())).await
    }

    pub(crate) async fn offer(&self, file: &File) -> Answer {
        self.post(PATH, &file.offer()).await
    }

    pub(crate) async fn parts(&self, upload: &str, body: &Value) -> Answer {
        self.post(&format!("{PATH}/{upload}/parts"), body).await
    }

    /// The numbers and sizes of the parts that the storage has.
    pub(crate) async fn stored(&self, upload: &str) -> Vec<(u64, u64)> {
        let answer = self.parts(upload, &json!({"numbers": [], "list_stored": true})).await.ok();
        let part = |part: &Value| (part["number"].as_u64().unwrap(), part["size_bytes"].as_u64().unwrap());
        answer["stored"].as_array().unwrap().iter().map(part).collect()
    }

    pub(crate) async fn complete(&self, upload: &str, file: &File) -> Answer {
        let body = json!({"size_bytes": file.bytes.len(), "sha256": file.sha256()});
        self.post(&format!("{PATH}/{upload}/complete"), &body).await
    }

    /// The first answer that is not "ask again".
    pub(crate) async fn completed(&self, upload: &str, file: &File) -> Answer {
        wait::until("the verification", async || {
            let answer = self.complete(upload, file).await;
            if answer.status == 202 {
                assert_eq!(answer.body, json!({"state": "verifying"}));
                assert!(["1", "10"].map(Some).contains(&answer.headers["retry-after"].to_str().ok()));
            }
            (answer.status != 202).then_some(answer)
        })
        .await
    }

    pub(crate) async fn abort(&self, upload: &str) -> Answer {
        self.request(signed(Method::DELETE, &format!("{PATH}/{upload}"), "")).await
    }

    /// Delivers the recording's notice, which names this object.
    pub(crate) async fn notice(&self, file: &File, bucket: &str, key: &str) {
        let notice = json!({
            "id": file.id, "room_name": file.room, "recording_file": "/recordings/file.mp4", "recording_status": "completed",
            "timestamp": "2026-01-31T10:30:00.000Z", "session_id": "session", "size_bytes": file.bytes.len(),
            "sha256": file.sha256(), "bucket": bucket, "object_key": key,
        });
        self.post("/v1/jibri/recording-complete", &notice).await.ok();
    }

    /// The files of a meeting, as `user` sees them.
    pub(crate) async fn files(&self, meeting: &str, user: &str) -> Vec<Value> {
        let now = OffsetDateTime::now_utc();
        let grant = Grant { subject: user, email: None, expires_at: now + Duration::hours(1) };
        let token = sign(&self.config.auth, grant, now).unwrap();
        let request = Request::get(format!("/v1/meetings/{meeting}"))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Body::empty())
            .unwrap();
        let answer = self.request(request).await.ok();
        let recordings = answer["recordings"].as_array().unwrap();
        recordings.iter().flat_map(|recording| recording["files"].as_array().unwrap().clone()).collect()
    }
}

impl Answer {
    /// The answer's JSON, which must come with 200.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.body);
        self.body
    }

    /// The status and the body's `code`.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

impl File {
    /// A recording of a meeting in the cloud, with bytes that do not repeat from part to part.
    pub(crate) fn new(id: &str, size: usize) -> Self {
        let bytes =
            (0..size).map(|place| u8::try_from((place ^ (place >> 8) ^ (place >> 16)) & 0xff).unwrap());
        Self { id: id.into(), room: "cloud".into(), name: "cloud_2026.mp4".into(), bytes: bytes.collect() }
    }

    pub(crate) fn sha256(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    pub(crate) fn parts(&self) -> Vec<&[u8]> {
        if self.bytes.is_empty() { vec![&[]] } else { self.bytes.chunks(PART).collect() }
    }

    pub(crate) fn offer(&self) -> Value {
        json!({
            "id": self.id, "room_name": self.room, "session_id": "session", "file_name": self.name,
            "size_bytes": self.bytes.len(), "sha256": self.sha256(), "host": "jibri-1",
            "finished_at": "2026-01-31T10:30:00.000Z",
        })
    }
}

/// A request as the agent makes it: signed under the id of the upload that its path names, if it names one.
pub(crate) fn signed(method: Method, path: &str, body: &str) -> Request<Body> {
    let id = path.strip_prefix(PATH).and_then(|rest| rest.split('/').nth(1)).unwrap_or("any");
    dated(method, path, body, id, OffsetDateTime::now_utc().unix_timestamp())
}

/// A request that was signed under `id` at `time`, in seconds since 1970.
pub(crate) fn dated(method: Method, path: &str, body: &str, id: &str, time: i64) -> Request<Body> {
    let signed = Secrets::parse(WEBHOOK_SECRET).unwrap().sign(id, time, body.as_bytes());
    Request::builder()
        .method(method)
        .uri(path)
        .header(CONTENT_TYPE, "application/json")
        .header(JITSI_SIGNATURE, signed.jitsi)
        .header(WEBHOOK_ID, id)
        .header(WEBHOOK_TIMESTAMP, signed.timestamp)
        .header(WEBHOOK_SIGNATURE, signed.standard)
        .body(Body::from(body.to_owned()))
        .unwrap()
}
