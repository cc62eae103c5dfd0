//! The service under test, and a Whereby beside it.

use std::path::Path;

use api::auth::local::{Grant, sign};
use api::config::{Config, Surroundings, Variables};
use api::http::State;
use api::http::router::router;
use api::whereby::strays;
use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use testbed::whereby::{Event, Whereby, signature};
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;

use crate::support::postgres::database;

const ENVIRONMENT: &[(&str, &str)] =
    &[("AUTH_BACKEND", "jwt"), ("AUTH_JWT_SECRET", "f0e1d2c3b4a5968778695a4b3c2d1e0f")];

/// The room that tests meet in.
pub(crate) const ROOM: &str = "standup";

/// Its owner.
pub(crate) const OWNER: &str = "ann";

/// The service on a database of its own, and its Whereby.
pub(crate) struct App {
    pub(crate) whereby: Whereby,
    pub(crate) replica: Replica,
    pub(crate) variables: Variables,
    pub(crate) options: PgConnectOptions,
}

/// One process' worth of the service.
#[derive(Clone)]
pub(crate) struct Replica {
    pub(crate) state: State,
    pub(crate) router: Router,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl App {
    pub(crate) async fn start() -> Self {
        Self::with(Whereby::start().unwrap(), &[]).await
    }

    /// The same with another Whereby and other variables; an empty value takes a variable away. The owner has a room already.
    pub(crate) async fn with(whereby: Whereby, changes: &[(&str, &str)]) -> Self {
        let own = whereby.environment();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Variables = ENVIRONMENT
            .iter()
            .copied()
            .chain(own)
            .chain(changes.iter().copied())
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let (db, options) = database().await;
        let replica = Replica::new(&variables, db, &options);
        let app = Self { whereby, replica, variables, options };
        app.make_room(ROOM, &json!({})).await;
        app
    }

    /// Another process on the same database.
    pub(crate) fn another(&self) -> Replica {
        Replica::new(&self.variables, api::db::pool(self.options.clone()), &self.options)
    }

    pub(crate) fn db(&self) -> &PgPool {
        &self.replica.state.db
    }

    /// Makes a room of the owner's; returns its id.
    pub(crate) async fn make_room(&self, name: &str, changes: &Value) -> String {
        let mut room = json!({
            "name": name, "platform": "whereby", "zulip_auto_post": false, "zulip_stream": "", "zulip_topic": "",
            "is_locked": false, "room_mode": "normal", "recording_type": "cloud",
            "recording_trigger": "automatic-2nd-participant", "is_shared": true, "webhook_url": "", "webhook_secret": ""
        });
        room.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let made = self.replica.ask(Method::POST, Some(OWNER), "/v1/rooms", Some(&room)).await;
        made.ok()["id"].as_str().unwrap().to_owned()
    }

    /// Somebody without a token comes into the room.
    pub(crate) async fn visit(&self) -> Answer {
        self.replica.visit().await
    }

    /// The webhook that brings `event` now.
    pub(crate) async fn tell(&self, event: &Event) -> Answer {
        let body = event.body();
        let signed = self.sign(&body);
        self.replica.webhook(Some(&signed), body).await
    }

    pub(crate) fn sign(&self, body: &str) -> String {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        signature(self.whereby.webhook_secret(), now, body.as_bytes())
    }

    /// How many people the meeting in the room has.
    pub(crate) async fn people(&self) -> u64 {
        let path = format!("/v1/rooms/{ROOM}/meetings/active");
        let meetings = self.replica.ask(Method::GET, None, &path, None).await.ok();
        meetings[0]["num_clients"].as_u64().unwrap()
    }

    /// Runs what runs from time to time: removes rooms that were made for nobody. Returns how many.
    pub(crate) async fn clean_up(&self) -> usize {
        self.replica.state.whereby.as_ref().unwrap().clean_up().await.unwrap()
    }

    /// The same for webhooks that came before their meetings.
    pub(crate) async fn bring_strays_home(&self) -> usize {
        strays::bring_home(self.db(), &self.replica.state.ingest).await.unwrap()
    }

    /// A single number from the database.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.db()).await.unwrap()
    }

    /// Changes the database.
    pub(crate) async fn change(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.db()).await.unwrap();
    }

    /// The ids of rooms at Whereby.
    pub(crate) fn rooms(&self) -> Vec<String> {
        self.whereby.rooms().into_iter().map(|room| room.meeting_id).collect()
    }

    /// How often Whereby was asked this.
    pub(crate) fn calls(&self, what: &str) -> usize {
        self.whereby.calls().iter().filter(|call| call.what.starts_with(what)).count()
    }
}

impl Replica {
    pub(crate) fn new(variables: &Variables, db: PgPool, options: &PgConnectOptions) -> Self {
        let read_file = |path: &Path| std::fs::read(path);
        let (config, _) =
            Config::read(variables, &Surroundings { read_file: &read_file, is_root: false }).unwrap();
        let state = api::app::state(config, db, options).unwrap();
        Self { router: router(state.clone()), state }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (parts, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let json = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status: parts.status.as_u16(), headers: parts.headers, json }
    }

    /// A request of `user`, or of somebody without a token.
    pub(crate) async fn ask(
        &self,
        method: Method,
        user: Option<&str>,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let mut request =
            Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
        if let Some(user) = user {
            let now = OffsetDateTime::now_utc();
            let grant = Grant { subject: user, email: None, expires_at: now + Duration::hours(1) };
            let token = sign(&self.state.config.auth, grant, now).unwrap();
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).unwrap()).await
    }

    pub(crate) async fn visit(&self) -> Answer {
        self.ask(Method::POST, None, &format!("/v1/rooms/{ROOM}/meeting"), Some(&json!({}))).await
    }

    /// A webhook with this signature.
    pub(crate) async fn webhook(&self, signature: Option<&str>, body: String) -> Answer {
        let mut request = Request::post("/v1/whereby").header(CONTENT_TYPE, "application/json");
        if let Some(signature) = signature {
            request = request.header("Whereby-Signature", signature);
        }
        self.send(request.body(Body::from(body)).unwrap()).await
    }
}

impl Answer {
    /// The answer's JSON, which must come with 200.
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{:#}", self.json);
        self.json
    }

    /// The status and the body's `code`.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.json["code"].as_str().unwrap_or_default())
    }

    /// After how many seconds to come again.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.headers.get("retry-after")?.to_str().unwrap().parse().ok()
    }
}
