//! Recording notices.

use serde_json::{Value, json};

use crate::app::{App, signed};

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
