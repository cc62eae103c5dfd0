//! The service under test.

use std::net::SocketAddr;
use std::path::Path;

use api::auth::local::{Grant, sign};
use api::config::{Config, Surroundings, Variables};
use api::http::router::router;
use api::http::serve::serve;
use api::http::timeouts::Patience;
use api::traces::Traces;
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use contract::signature::{AGENT, Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::support::postgres::database;

/// What hosts that are no enrolled agents sign with.
pub(crate) const WEBHOOK_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// What the secrets of agents are derived from.
pub(crate) const SECRET_KEY: &str = "5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e";

/// What bearer tokens are signed with.
pub(crate) const BEARER_SECRET: &str = "f0e1d2c3b4a5968778695a4b3c2d1e0f";

const ENVIRONMENT: &[(&str, &str)] = &[
    ("JITSI_DOMAIN", "meet.example.com"),
    ("JITSI_JWT_SECRET", "6a1f0c2b9d8e47a35b60c1d2e3f40516"),
    ("JITSI_WEBHOOK_SECRET", WEBHOOK_SECRET),
    ("SECRET_KEY", SECRET_KEY),
    ("AUTH_BACKEND", "jwt"),
    ("AUTH_JWT_SECRET", BEARER_SECRET),
];

/// The service on a database of its own.
pub(crate) struct App {
    router: Router,
    config: Config,
    /// The way out for spans.
    pub(crate) traces: Traces,
    /// The database, for what no route offers.
    pub(crate) db: PgPool,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl App {
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
        let state = api::app::state(config.clone(), db.clone(), &options).unwrap();
        let traces = state.traces.clone();
        Self { router: router(state), config, traces, db }
    }

    /// Serves on a port of its own, until the test ends.
    pub(crate) async fn listen(&self, patience: Patience) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (router, limits) = (self.router.clone(), self.config.limits.clone());
        tokio::spawn(async move {
            serve(listener, router, &limits, patience, || {}, std::future::pending()).await;
        });
        address
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// A bearer token of `user`.
    pub(crate) fn token(&self, user: &str) -> String {
        let now = OffsetDateTime::now_utc();
        let grant = Grant { subject: user, email: None, expires_at: now + Duration::hours(1) };
        sign(&self.config.auth, grant, now).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The status and the body's `code` and `detail`, for refusals.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let json = self.json();
        let text = |member: &str| json[member].as_str().unwrap_or_default().to_owned();
        (self.status, text("code"), text("detail"))
    }
}

/// A test event, signed with `secret` in the name of `agent`, which changes nothing.
pub(crate) fn delivery(secret: &str, agent: Option<&str>) -> Request<Body> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let body = json!({"event": "test", "room": "test", "timestamp": now, "data": {}}).to_string();
    let signed = Secrets::parse(secret).unwrap().sign("evt_1", now, body.as_bytes());
    let mut request = Request::post("/v1/jitsi/events")
        .header(CONTENT_TYPE, "application/json")
        .header(WEBHOOK_ID, "evt_1")
        .header(WEBHOOK_TIMESTAMP, signed.timestamp)
        .header(WEBHOOK_SIGNATURE, signed.standard);
    if let Some(agent) = agent {
        request = request.header(AGENT, agent);
    }
    request.body(Body::from(body)).unwrap()
}

/// The request as if it came from `address`.
pub(crate) fn from(address: &str, mut request: Request<Body>) -> Request<Body> {
    let peer = SocketAddr::new(address.parse().unwrap(), 4711);
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}
