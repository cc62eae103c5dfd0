//! The service on a database, a bucket and a queue of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use api::auth::local::{Grant, sign};
use api::config::{Config, Surroundings, Variables};
use api::http::State;
use api::http::router::router;
use api::queue::Queue;
use api::recordings::consumer::{self, Running};
use axum::Router;
use axum::body::Body;
use http::Request;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt as _;
use serde_json::Value;
use sqlx::PgPool;
use tempfile::TempDir;
use testbed::sqs::{Moto, Place};
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;

use crate::support::{postgres, wait};

/// The room of the meeting that every scene has.
pub(crate) const ROOM: &str = "standup-0b1f7c1e";

pub(crate) struct Scene {
    pub(crate) state: State,
    pub(crate) db: PgPool,
    pub(crate) place: Place,
    pub(crate) variables: Variables,
    router: Router,
}

/// What the database knows of a recording.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) meeting_id: Option<String>,
    pub(crate) object_key: Option<String>,
    pub(crate) size_bytes: Option<i64>,
    pub(crate) state: String,
}

/// The one server of this test binary.
pub(crate) fn moto() -> &'static Moto {
    static SERVER: OnceLock<(Moto, TempDir)> = OnceLock::new();
    let start = || {
        let directory = tempfile::tempdir().unwrap();
        (Moto::start(directory.path()).unwrap(), directory)
    };
    &SERVER.get_or_init(start).0
}

pub(crate) fn place() -> Place {
    static PLACES: AtomicUsize = AtomicUsize::new(0);
    moto().place(&format!("recordings-{}", PLACES.fetch_add(1, Ordering::Relaxed))).unwrap()
}

/// The name of a file that Whereby leaves of a recording of `room`, as it stands in an address.
pub(crate) fn file(room: &str, minute: u32) -> String {
    format!("{room}-2026-03-01T10:{minute:02}:20Z.mp4")
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// The same with other variables.
    pub(crate) async fn with(changes: &[(&str, &str)]) -> Self {
        // Another test may have chosen already; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let place = place();
        let mut variables: Variables = BTreeMap::from(
            [("AUTH_BACKEND", "jwt"), ("AUTH_JWT_SECRET", "f0e1d2c3b4a5968778695a4b3c2d1e0f")]
                .map(|(name, value)| (name.to_owned(), value.to_owned())),
        );
        variables.extend(place.environment().into_iter().map(|(name, value)| (name.to_owned(), value)));
        variables.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let (db, options) = postgres::database().await;
        let state = api::app::state(config(&variables), db.clone(), &options).unwrap();
        let router = router(state.clone());
        let scene = Self { state, db, place, variables, router };
        scene.meeting("m", ROOM).await;
        scene
    }

    /// Makes a meeting, and a room of `owner` for it.
    pub(crate) async fn meeting(&self, id: &str, room_name: &str) {
        for statement in [
            "INSERT INTO reflector.room (id, name, user_id, created_at, platform, room_mode, recording_type, recording_trigger,
               is_locked, is_shared, zulip_auto_post, zulip_stream, zulip_topic)
             VALUES ($1, $2, 'owner', now(), 'whereby', 'normal', 'cloud', 'none', false, false, false, '', '')",
            "INSERT INTO reflector.meeting (id, room_id, room_name, platform, start_date, end_date, is_locked, room_mode,
               recording_type, recording_trigger, room_url)
             VALUES ($1, $1, $2, 'whereby', now(), now() + interval '8 h', false, 'normal', 'cloud', 'none', 'https://x')",
        ] {
            sqlx::query(statement).bind(id).bind(room_name).execute(&self.db).await.unwrap();
        }
    }

    /// Starts a process' consumer.
    pub(crate) fn listen(&self) -> Running {
        self.listen_to(&self.place.queue_url())
    }

    /// The same, at another address of the queue.
    pub(crate) fn listen_to(&self, url: &str) -> Running {
        consumer::start(self.db.clone(), self.queue(url))
    }

    /// The queue at `url`.
    pub(crate) fn queue(&self, url: &str) -> Queue {
        let mut settings = config(&self.variables).queue.unwrap();
        settings.url = url.parse().unwrap();
        Queue::new(settings).unwrap()
    }

    pub(crate) async fn rows(&self) -> Vec<Row> {
        sqlx::query_as("SELECT id, meeting_id, object_key, size_bytes, state FROM reflector.recording ORDER BY object_key")
            .fetch_all(&self.db)
            .await
            .unwrap()
    }

    /// Waits until the recordings are in these states, in the order of their keys.
    pub(crate) async fn until_states(&self, expected: &[&str]) -> Vec<Row> {
        wait::until(&format!("{expected:?}"), async || {
            let rows = self.rows().await;
            (rows.iter().map(|row| row.state.as_str()).eq(expected.iter().copied())).then_some(rows)
        })
        .await
    }

    /// Waits until the queue has no message, and nobody holds one.
    pub(crate) async fn until_read(&self) {
        wait::until("the queue to be read", async || {
            let count = self.place.count().unwrap();
            (count.visible == 0 && count.held == 0).then_some(())
        })
        .await;
    }

    pub(crate) async fn execute(&self, statement: &'static str) -> u64 {
        sqlx::query(statement).execute(&self.db).await.unwrap().rows_affected()
    }

    /// What `user` gets at `path`: the status and the body.
    pub(crate) async fn get(&self, path: &str, user: &str) -> (u16, Value) {
        let now = OffsetDateTime::now_utc();
        let grant = Grant { subject: user, email: None, expires_at: now + Duration::hours(1) };
        let token = sign(&self.state.config.auth, grant, now).unwrap();
        let request =
            Request::get(path).header(AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap())
    }
}

pub(crate) fn config(variables: &Variables) -> Config {
    let read_file = |path: &Path| std::fs::read(path);
    Config::read(variables, &Surroundings { read_file: &read_file, is_root: false }).unwrap().0
}
