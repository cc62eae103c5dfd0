//! Recording notices.

use api::http::router::router;
use axum::Router;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::app::{self, App, config, meeting, signed};
use crate::support::{postgres, wait};

const PATH: &str = "/v1/jibri/recording-complete";

fn notice(changes: &Value) -> String {
    let mut notice = json!({
        "room_name": "reflector-test-room-uuid", "recording_file": "/recordings/test.mp4",
        "recording_status": "completed", "timestamp": "2025-01-15T10:30:00.000Z",
    });
    for (name, value) in changes.as_object().unwrap() {
        notice[name] = value.clone();
    }
    notice.to_string()
}

async fn send(app: &App, body: String) -> crate::app::Answer {
    app.send(signed(PATH, "application/json", body)).await
}

#[tokio::test]
async fn the_guides_notice_becomes_an_event_and_a_recording() {
    let app = App::start().await;
    app.meeting("m", "reflector-test-room-uuid").await;
    let expected = json!({
        "status": "ok", "room_name": "reflector-test-room-uuid", "recording_file": "/recordings/test.mp4",
        "message": "Recording stored",
    });
    for _ in 0..2 {
        assert_eq!(send(&app, notice(&json!({}))).await.ok(), expected);
    }
    let events: Vec<(String, String)> =
        sqlx::query_as("SELECT id, name FROM reflector.meeting_event").fetch_all(&app.db).await.unwrap();
    let recordings: Vec<(String, String, String)> =
        sqlx::query_as("SELECT id, file, status FROM reflector.recording").fetch_all(&app.db).await.unwrap();
    assert_eq!((events.len(), events[0].1.as_str()), (1, "recording_completed"));
    assert_eq!(recordings, [(events[0].0.clone(), "/recordings/test.mp4".into(), "completed".into())]);
}

#[tokio::test]
async fn the_agents_notice_keeps_all_that_it_measured() {
    let app = App::start().await;
    app.meeting("m", "reflector-test-room-uuid").await;
    let own = json!({
        "id": "rec_1", "session_id": "s", "host": "jibri-1", "size_bytes": 5_000_000_000_i64, "duration_ms": 3200,
        "sha256": "ab", "recording_status": "truncated",
    });
    send(&app, notice(&own)).await.ok();
    let row: (String, String, String, i64, i64, String, String) = sqlx::query_as(
        "SELECT id, session_id, host, size_bytes, duration_ms, sha256, status FROM reflector.recording",
    )
    .fetch_one(&app.db)
    .await
    .unwrap();
    let text = ToOwned::to_owned;
    assert_eq!(
        row,
        (text("rec_1"), text("s"), text("jibri-1"), 5_000_000_000, 3200, text("ab"), text("truncated"))
    );
}

#[tokio::test]
async fn credentials_in_a_notice_are_not_kept() {
    let app = App::start().await;
    app.meeting("m", "reflector-test-room-uuid").await;
    let secrets = json!({
        "participants": [{"user": {"name": "Ann", "jwtToken": "eyJhbGciOi"}}],
        "callLoginCredentials": {"password": "hunter2"},
        "meeting_url": "https://meet.example.com/r?jwt=eyJhbGciOj#config.prejoin=false",
        "headers": {"Authorization": "Bearer eyJhbGciOk"},
    });
    send(&app, notice(&secrets)).await.ok();
    let stored: String = sqlx::query_scalar("SELECT data::text FROM reflector.meeting_event")
        .fetch_one(&app.db)
        .await
        .unwrap();
    assert!(!stored.contains("eyJhbGciO") && !stored.contains("hunter2"), "{stored}");
    assert!(stored.contains("Ann") && stored.contains("[redacted]"), "{stored}");
}

#[tokio::test]
async fn a_notice_that_is_not_one_is_refused() {
    let app = App::start().await;
    app.meeting("m", "reflector-test-room-uuid").await;
    for (changes, expected) in [
        (json!({"room_name": "unknown"}), (404, "meeting_not_found")),
        (json!({"room_name": "a\nb"}), (422, "event_invalid")),
        (json!({"recording_file": ""}), (422, "event_invalid")),
        (json!({"recording_file": 5}), (422, "event_invalid")),
        (json!({"timestamp": "yesterday"}), (422, "event_invalid")),
        (json!({"id": "with blanks"}), (422, "event_invalid")),
    ] {
        assert_eq!(send(&app, notice(&changes)).await.refusal(), expected, "{changes}");
    }
    let batch = app.send(signed(PATH, "application/x-ndjson", notice(&json!({})))).await;
    assert_eq!(batch.refusal(), (415, "media_type_unsupported"));
    assert_eq!(app.count("SELECT count(*) FROM reflector.recording").await, 0);
}

/// Some replicas of the service on one database, with a meeting for the notices.
async fn replicas(count: usize) -> (Vec<Router>, PgPool) {
    let (db, options) = postgres::database().await;
    meeting(&db, "m", "reflector-test-room-uuid").await;
    let replica = || router(api::app::state(config(&[]), db.clone(), &options).unwrap());
    (std::iter::repeat_with(replica).take(count).collect(), db)
}

async fn stored(db: &PgPool) -> (i64, i64) {
    let counts =
        "SELECT (SELECT count(*) FROM reflector.meeting_event), (SELECT count(*) FROM reflector.recording)";
    sqlx::query_as(counts).fetch_one(db).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_concurrent_deliveries_of_one_notice_store_one() {
    let (replicas, db) = replicas(5).await;
    let mut deliveries = JoinSet::new();
    for place in 0..100 {
        let replica = replicas[place % replicas.len()].clone();
        let notice = signed(PATH, "application/json", notice(&json!({"id": "rec_1"})));
        deliveries.spawn(async move { app::send(&replica, notice).await.ok() });
    }
    assert!(deliveries.join_all().await.iter().all(|answer| answer["status"] == "ok"));
    assert_eq!(stored(&db).await, (1, 1));
}

/// As when a commit takes longer than the sender waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_that_is_repeated_while_the_first_one_is_being_stored_is_acknowledged() {
    let (replicas, db) = replicas(1).await;
    let mut first = db.begin().await.unwrap();
    for statement in [
        "INSERT INTO reflector.recording (id, meeting_id, file, status, completed_at)
         VALUES ('rec_1', 'm', '/recordings/test.mp4', 'completed', now())",
        "INSERT INTO reflector.meeting_event (id, meeting_id, name, occurred_at, data)
         VALUES ('rec_1', 'm', 'recording_completed', now(), '{}')",
    ] {
        sqlx::query(statement).execute(&mut *first).await.unwrap();
    }
    let notice = signed(PATH, "application/json", notice(&json!({"id": "rec_1"})));
    let second = tokio::spawn(async move { app::send(&replicas[0], notice).await });
    wait::until("the second to wait for the first", async || {
        let waiting = "SELECT true FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '-- events.store%'";
        sqlx::query_scalar::<_, bool>(waiting).fetch_optional(&db).await.unwrap()
    })
    .await;
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap().ok()["status"], "ok");
    assert_eq!(stored(&db).await, (1, 1));
}
