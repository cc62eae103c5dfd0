//! The service under test, and a Jitsi host that delivers to it.

use std::path::Path;

use api::config::{Config, Surroundings, Variables};
use api::http::router::router;
use axum::Router;
use axum::body::Body;
use contract::signature::{JITSI_SIGNATURE, Secrets};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use tower::ServiceExt as _;

use crate::support::postgres;

/// What the tests' Jitsi host signs with.
pub(crate) const WEBHOOK_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The service on a database of its own.
pub(crate) struct App {
    pub(crate) router: Router,
    /// The database, for what no route offers.
    pub(crate) db: PgPool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body; text where it is no JSON, null when it is empty.
    pub(crate) body: Value,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with other variables. An empty value takes a variable away.
    pub(crate) async fn with(changes: &[(&str, &str)]) -> Self {
        let (db, options) = postgres::database().await;
        let state = api::app::state(config(changes), db.clone(), &options).unwrap();
        Self { router: router(state), db }
    }

    /// Makes a meeting in a room of this name.
    pub(crate) async fn meeting(&self, id: &str, room_name: &str) {
        meeting(&self.db, id, room_name).await;
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Delivers one event.
    pub(crate) async fn event(&self, event: &Value) -> Answer {
        self.send(signed("/v1/jitsi/events", "application/json", event.to_string())).await
    }

    /// Delivers a batch, and returns its results.
    pub(crate) async fn batch(&self, lines: &[String]) -> Vec<Value> {
        let answer = self.send(signed("/v1/jitsi/events", "application/x-ndjson", lines.join("\n"))).await;
        answer.ok()["results"].as_array().unwrap().clone()
    }

    /// A single number from the database.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(&self.db).await.unwrap()
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

/// The configuration of a service that takes deliveries.
pub(crate) fn config(changes: &[(&str, &str)]) -> Config {
    let own = [("JITSI_WEBHOOK_SECRET", WEBHOOK_SECRET)];
    let variables: Variables =
        own.iter().chain(changes).map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let read_file = |path: &Path| std::fs::read(path);
    Config::read(&variables, &Surroundings { read_file: &read_file, is_root: false }).unwrap().0
}

/// Makes a meeting in a room of this name; later ones are newer.
pub(crate) async fn meeting(db: &PgPool, id: &str, room_name: &str) {
    sqlx::query(
        "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, \
         recording_type, recording_trigger) \
         VALUES ($1, $2, 'jitsi', clock_timestamp(), now() + interval '8 h', false, 'normal', 'cloud', 'none')",
    )
    .bind(id)
    .bind(room_name)
    .execute(db)
    .await
    .unwrap();
}

/// A request that the guide's way signs.
pub(crate) fn signed(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Request<Body> {
    let body = body.into();
    let signature = Secrets::parse(WEBHOOK_SECRET).unwrap().sign("any", 0, &body).jitsi;
    Request::post(path)
        .header(CONTENT_TYPE, content_type)
        .header(JITSI_SIGNATURE, signature)
        .body(Body::from(body))
        .unwrap()
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = || Value::from(String::from_utf8_lossy(&bytes).into_owned());
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes).unwrap_or_else(|_| text())
    };
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// An event with the given id, name, second and data.
pub(crate) fn event(id: &str, name: &str, room: &str, second: i64, data: &Value) -> Value {
    json!({"id": id, "event": name, "room": room, "timestamp": second, "data": data})
}
