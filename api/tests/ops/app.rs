//! The service under test, a Jitsi host that delivers to it, and an operator's browser.

use std::path::Path;
use std::time::Duration;

use api::app::state;
use api::config::{Config, Surroundings, Variables};
use api::http::State;
use api::http::router::router;
use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::signature::{JITSI_SIGNATURE, Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request, request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;
use tower::ServiceExt as _;

use crate::support::postgres::database;

/// What opens the operators' pages.
pub(crate) const PASSWORD: &str = "3c0ffee3c0ffee3c0ffee";

const WEBHOOK_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

const ENVIRONMENT: &[(&str, &str)] = &[
    ("JITSI_DOMAIN", "meet.example.com"),
    ("JITSI_JWT_SECRET", "6a1f0c2b9d8e47a35b60c1d2e3f40516"),
    ("JITSI_WEBHOOK_SECRET", WEBHOOK_SECRET),
    ("AUTH_BACKEND", "jwt"),
    ("AUTH_JWT_SECRET", "f0e1d2c3b4a5968778695a4b3c2d1e0f"),
    ("OPS_PASSWORD", PASSWORD),
];

/// The service on a database of its own.
pub(crate) struct App {
    router: Router,
    /// Its parts.
    pub(crate) state: State,
    /// The database.
    pub(crate) db: PgPool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body.
    pub(crate) text: String,
}

impl App {
    /// A service whose operators have a page.
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with other variables. An empty value takes a variable away.
    pub(crate) async fn with(changes: &[(&str, &str)]) -> Self {
        let variables: Variables = ENVIRONMENT
            .iter()
            .chain(changes)
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect();
        let read_file = |path: &Path| std::fs::read(path);
        let (config, _) =
            Config::read(&variables, &Surroundings { read_file: &read_file, is_root: false }).unwrap();
        let (db, options) = database().await;
        let state = state(config, db.clone(), &options).unwrap();
        Self { router: router(state.clone()), state, db }
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// What an operator sees at `path`.
    pub(crate) async fn page(&self, path: &str) -> String {
        let answer = self.send(operator(Request::get(path)).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.text
    }

    /// A meeting whose name on its platform is `room_name`.
    pub(crate) async fn meeting(&self, id: &str, room_name: &str) {
        sqlx::query(
            "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, recording_type,
               recording_trigger)
             VALUES ($1, $2, 'jitsi', now() - interval '10 minutes', now() + interval '8 hours', false, 'normal', 'local', 'none')",
        )
        .bind(id)
        .bind(room_name)
        .execute(&self.db)
        .await
        .unwrap();
    }

    /// Delivers a body as the host's agent does, with a signature of `secret`.
    pub(crate) async fn deliver_with(&self, secret: &str, path: &str, kind: &str, body: &str) -> Answer {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let signed = Secrets::parse(secret).unwrap().sign("delivery-1", now, body.as_bytes());
        let request = Request::post(path)
            .header(CONTENT_TYPE, kind)
            .header("user-agent", "reflector-agent/0.1.0")
            .header(JITSI_SIGNATURE, signed.jitsi)
            .header(WEBHOOK_ID, "delivery-1")
            .header(WEBHOOK_TIMESTAMP, now.to_string())
            .header(WEBHOOK_SIGNATURE, signed.standard);
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// Delivers JSON, signed.
    pub(crate) async fn deliver(&self, path: &str, body: &Value) -> Answer {
        self.deliver_with(WEBHOOK_SECRET, path, "application/json", &body.to_string()).await
    }

    /// Delivers a batch of events, signed.
    pub(crate) async fn deliver_batch(&self, events: &[Value]) -> Answer {
        let lines: Vec<_> = events.iter().map(Value::to_string).collect();
        let body = lines.join("\n");
        self.deliver_with(WEBHOOK_SECRET, "/v1/jitsi/events", "application/x-ndjson", &body).await
    }

    /// Returns when the receipts of what was answered are written.
    pub(crate) async fn receipts_are_written(&self) {
        self.state.receipts.flush(Duration::from_secs(30)).await;
    }
}

/// A request of somebody with the password.
pub(crate) fn operator(request: request::Builder) -> request::Builder {
    request.header(AUTHORIZATION, basic("ann", PASSWORD))
}

/// What a browser sends for a user's name and password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// An event of a room.
pub(crate) fn event(id: &str, name: &str, room: &str, data: Value) -> Value {
    let now = OffsetDateTime::now_utc();
    let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
    let mut event = json!({"id": id, "event": name, "room": room, "timestamp": now});
    event["data"] = data;
    event
}
