//! The service under test on a database of its own.

use std::path::Path;

use api::config::{Config, Surroundings, Variables};
use api::http::State;
use api::http::router::router;
use api::jobs;
use api::lifecycle::{Lifecycle, Swept};
use api::wakes::Wakes;
use api::webhooks::sender::Sending;
use axum::Router;
use axum::body::Body;
use contract::signature::{JITSI_SIGNATURE, Secrets};
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgConnectOptions;
use time::{Duration, OffsetDateTime};
use tower::ServiceExt as _;

use crate::receiver::Receiver;
use crate::support::{postgres, wait};

const WEBHOOK_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// What rooms' webhooks are signed with.
pub(crate) const ROOM_SECRET: &str = "a secret, with a comma";
/// What the pipeline's are signed with.
pub(crate) const PIPELINE_SECRET: &str = "f0e1d2c3b4a5968778695a4b3c2d1e0f";

/// The service, and whoever receives its webhooks.
pub(crate) struct App {
    pub(crate) state: State,
    pub(crate) receiver: Receiver,
    pub(crate) variables: Variables,
    pub(crate) options: PgConnectOptions,
    router: Router,
}

impl App {
    /// Webhooks may go to this host.
    pub(crate) async fn start() -> Self {
        Self::with(&[("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")]).await
    }

    /// The same, told of everything at `/pipeline`.
    pub(crate) async fn with_pipeline() -> Self {
        let receiver = Receiver::start().await;
        let url = receiver.url("/pipeline");
        let variables = [
            ("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8"),
            ("PIPELINE_WEBHOOK_URL", &url),
            ("PIPELINE_WEBHOOK_SECRET", PIPELINE_SECRET),
        ];
        Self::with_receiver(receiver.clone(), &variables).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        Self::with_receiver(Receiver::start().await, variables).await
    }

    async fn with_receiver(receiver: Receiver, variables: &[(&str, &str)]) -> Self {
        let own = [("JITSI_WEBHOOK_SECRET", WEBHOOK_SECRET)];
        let variables: Variables =
            own.iter().chain(variables).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (db, options) = postgres::database().await;
        let mut state = state(&variables, db, &options);
        state.wakes = Wakes::new(jobs::list(&state).iter().map(|job| job.name));
        Self { router: router(state.clone()), state, receiver, variables, options }
    }

    /// The parts of another process on the same database.
    pub(crate) fn replica(&self) -> State {
        state(&self.variables, api::db::pool(self.options.clone()), &self.options)
    }

    pub(crate) fn db(&self) -> &PgPool {
        &self.state.db
    }

    /// A room that is told of its meetings at this path; at none if it is empty.
    pub(crate) async fn room(&self, id: &str, path: &str) {
        let url = (!path.is_empty()).then(|| self.receiver.url(path));
        self.room_at(id, url.as_deref()).await;
    }

    pub(crate) async fn room_at(&self, id: &str, url: Option<&str>) {
        sqlx::query(
            "INSERT INTO reflector.room (id, name, user_id, created_at, platform, room_mode, recording_type,
               recording_trigger, is_locked, is_shared, zulip_auto_post, zulip_stream, zulip_topic, webhook_url,
               webhook_secret)
             VALUES ($1, $1, 'ann', now(), 'jitsi', 'normal', 'cloud', 'none', false, false, false, '', '', $2, $3)",
        )
        .bind(id)
        .bind(url)
        .bind(ROOM_SECRET)
        .execute(self.db())
        .await
        .unwrap();
    }

    /// A meeting in a room, which lasts so many hours from now.
    pub(crate) async fn meeting(&self, id: &str, room: &str, hours: i32) {
        sqlx::query(
            "INSERT INTO reflector.meeting (id, room_id, room_name, platform, start_date, end_date, is_locked, room_mode,
               recording_type, recording_trigger)
             VALUES ($1, $2, $1, 'jitsi', now() - interval '9 h', now() + make_interval(hours => $3), false, 'normal',
               'cloud', 'none')",
        )
        .bind(id)
        .bind(room)
        .bind(hours)
        .execute(self.db())
        .await
        .unwrap();
    }

    /// A meeting that its owner has ended, which is to be told.
    pub(crate) async fn ended_meeting(&self, id: &str, room: &str) {
        self.meeting(id, room, 8).await;
        self.end(id).await;
    }

    /// Ends a meeting for its owner.
    pub(crate) async fn end(&self, id: &str) {
        api::db::meetings::end(self.db(), id, OffsetDateTime::now_utc()).await.unwrap();
    }

    /// Delivers an event of a Jitsi host, so many seconds after the epoch by its clock.
    pub(crate) async fn event(&self, name: &str, meeting: &str, second: i64, data: &Value) {
        let event = json!({"event": name, "room": meeting, "timestamp": second, "data": data}).to_string();
        let signature = Secrets::parse(WEBHOOK_SECRET).unwrap().sign("any", 0, event.as_bytes()).jitsi;
        let request = Request::post("/v1/jitsi/events")
            .header(CONTENT_TYPE, "application/json")
            .header(JITSI_SIGNATURE, signature)
            .body(Body::from(event))
            .unwrap();
        assert_eq!(self.send(request).await.0, 200);
    }

    pub(crate) async fn visit(&self, method: Method, path: &str) -> (u16, Value) {
        self.send(Request::builder().method(method).uri(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let bytes = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Looks at all meetings once.
    pub(crate) async fn sweep(&self) -> Swept {
        lifecycle(&self.state).sweep().await.unwrap()
    }

    /// Begins to send webhooks.
    pub(crate) fn sending(&self) -> Sending {
        self.state.webhooks.start()
    }

    /// Runs a statement: what time does, for example.
    pub(crate) async fn change(&self, statement: &'static str) {
        let done = sqlx::query(statement).execute(self.db()).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
    }

    /// Has the database behave in another way.
    pub(crate) async fn change_schema(&self, statements: &'static str) {
        sqlx::raw_sql(statements).execute(self.db()).await.unwrap();
    }

    /// A single text from the database.
    pub(crate) async fn text(&self, query: &'static str) -> Option<String> {
        sqlx::query_scalar(query).fetch_one(self.db()).await.unwrap()
    }

    /// A single number from the database.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.db()).await.unwrap()
    }

    /// Waits until so many deliveries are in this state.
    pub(crate) async fn settled(&self, state: &str, count: i64) {
        wait::until(&format!("{count} {state} webhooks"), async || {
            let found: i64 =
                sqlx::query_scalar("SELECT count(*) FROM reflector.webhook_delivery WHERE state = $1")
                    .bind(state)
                    .fetch_one(self.db())
                    .await
                    .unwrap();
            (found == count).then_some(())
        })
        .await;
    }
}

pub(crate) fn lifecycle(state: &State) -> Lifecycle {
    let grace = Duration::try_from(state.config.lifecycle.grace).unwrap();
    Lifecycle { db: state.db.clone(), whereby: state.whereby.clone(), grace }
}

fn state(variables: &Variables, db: PgPool, options: &PgConnectOptions) -> State {
    let read_file = |path: &Path| std::fs::read(path);
    let surroundings = Surroundings { read_file: &read_file, is_root: false };
    let (config, _) = Config::read(variables, &surroundings).unwrap();
    api::app::state(config, db, options).unwrap()
}
