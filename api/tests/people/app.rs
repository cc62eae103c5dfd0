//! The service under test, and a client that speaks for a user.

use std::path::Path;
use std::sync::Arc;

use api::app::state;
use api::auth::local::{Grant, sign};
use api::config::{Config, Surroundings, Variables};
use api::http::router::router;
use axum::Router;
use axum::body::Body;
use contract::signature::{JITSI_SIGNATURE, Secrets};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;

use crate::support::postgres::database;

/// What the tests' Jitsi tokens are signed with.
pub(crate) const JITSI_SECRET: &str = "6a1f0c2b9d8e47a35b60c1d2e3f40516";

const WEBHOOK_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// The environment of a service with Jitsi and bearer tokens.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("JITSI_DOMAIN", "meet.example.com"),
    ("JITSI_JWT_SECRET", JITSI_SECRET),
    ("JITSI_WEBHOOK_SECRET", WEBHOOK_SECRET),
    ("AUTH_BACKEND", "jwt"),
    ("AUTH_JWT_SECRET", "f0e1d2c3b4a5968778695a4b3c2d1e0f"),
];

/// The service on a database of its own.
pub(crate) struct App {
    router: Router,
    /// The database, for what no route offers.
    pub(crate) db: PgPool,
    config: Arc<Config>,
    options: PgConnectOptions,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status.
    pub(crate) status: u16,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The body; null when it is empty.
    pub(crate) json: Value,
}

impl App {
    /// A service with Jitsi and bearer tokens.
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
        Self::over(config, db, options)
    }

    /// Another replica of the service: the same database, and nothing else in common.
    pub(crate) fn replica(&self) -> Self {
        self.replica_with(|_| ())
    }

    /// The same with another configuration.
    pub(crate) fn replica_with(&self, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::clone(&self.config);
        change(&mut config);
        Self::over(config, api::db::pool(self.options.clone()), self.options.clone())
    }

    fn over(config: Config, db: PgPool, options: PgConnectOptions) -> Self {
        let state = state(config, db.clone(), &options).unwrap();
        Self { db, config: state.config.clone(), router: router(state), options }
    }

    /// A bearer token of `user`.
    pub(crate) fn token(&self, user: &str) -> String {
        let now = OffsetDateTime::now_utc();
        let email = format!("{user}@example.com");
        let grant = Grant { subject: user, email: Some(&email), expires_at: now + Duration::hours(1) };
        sign(&self.config.auth, grant, now).unwrap()
    }

    /// Sends a request.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, json }
    }

    fn request(&self, method: Method, user: Option<&str>, path: &str, body: Body) -> Request<Body> {
        let request = Request::builder().method(method).uri(path);
        let request = match user {
            Some(user) => request.header(AUTHORIZATION, format!("Bearer {}", self.token(user))),
            None => request,
        };
        request.body(body).unwrap()
    }

    /// What `user` gets at `path`; `None` is somebody without a token.
    pub(crate) async fn get(&self, user: Option<&str>, path: &str) -> Answer {
        self.send(self.request(Method::GET, user, path, Body::empty())).await
    }

    /// The answer to an empty post.
    pub(crate) async fn post_nothing(&self, user: Option<&str>, path: &str) -> Answer {
        self.send(self.request(Method::POST, user, path, Body::empty())).await
    }

    /// The answer to JSON.
    pub(crate) async fn post(&self, user: Option<&str>, path: &str, body: &Value) -> Answer {
        let mut request = self.request(Method::POST, user, path, Body::from(body.to_string()));
        request.headers_mut().insert(CONTENT_TYPE, "application/json".parse().unwrap());
        self.send(request).await
    }

    /// The answer to a signed delivery of a Jitsi host.
    pub(crate) async fn deliver(&self, path: &str, body: &Value) -> Answer {
        let bytes = body.to_string();
        let signature = Secrets::parse(WEBHOOK_SECRET).unwrap().sign("any", 0, bytes.as_bytes()).jitsi;
        let request = Request::post(path)
            .header(CONTENT_TYPE, "application/json")
            .header(JITSI_SIGNATURE, signature)
            .body(Body::from(bytes))
            .unwrap();
        self.send(request).await
    }
}

impl Answer {
    /// The answer's JSON, which must come with 200.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.json);
        self.json
    }

    /// The status and the body's `code` and `detail`, for refusals.
    pub(crate) fn refusal(&self) -> (u16, &str, &Value) {
        (self.status, self.json["code"].as_str().unwrap_or_default(), &self.json["detail"])
    }
}
