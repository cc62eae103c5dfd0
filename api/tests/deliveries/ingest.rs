//! Events are stored once, together, in order.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::app::{App, event, signed};

fn statuses(results: &[Value]) -> Vec<(&str, &str)> {
    results
        .iter()
        .map(|result| (result["status"].as_str().unwrap(), result["code"].as_str().unwrap_or_default()))
        .collect()
}

#[tokio::test]
async fn the_guides_event_is_stored_and_answered_as_the_guide_shows() {
    let app = App::start().await;
    app.meeting("m", "reflector-test-room-uuid").await;
    let body = r#"{"event":"muc-occupant-joined","room":"reflector-test-room-uuid","timestamp":"2025-01-15T10:30:00.000Z","data":{"user_id":"test-user","display_name":"Test User"}}"#;
    let expected =
        json!({"status": "ok", "event": "muc-occupant-joined", "room": "reflector-test-room-uuid"});
    assert_eq!(app.send(signed("/v1/jitsi/events", "application/json", body)).await.ok(), expected);
    assert_eq!(app.send(signed("/v1/jitsi/events", "application/json", body)).await.ok(), expected);
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_concurrent_deliveries_of_one_event_store_one() {
    let app = Arc::new(App::start().await);
    app.meeting("m", "r").await;
    let joined = event("evt_1", "muc-occupant-joined", "r", 1, &json!({"occupant_id": "o"}));
    let mut deliveries = JoinSet::new();
    for _ in 0..100 {
        let (app, joined) = (Arc::clone(&app), joined.clone());
        deliveries.spawn(async move { app.event(&joined).await.status });
    }
    assert!(deliveries.join_all().await.iter().all(|status| *status == 200));
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 1);
    assert_eq!(app.count("SELECT count(*) FROM reflector.participant").await, 1);
}

#[tokio::test]
async fn each_line_of_a_batch_has_its_own_result_in_its_place() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let own = |id: &str, room: &str| event(id, "e", room, 1, &json!({})).to_string();
    let results = app
        .batch(&[
            own("a", "r"),
            "nonsense".to_owned(),
            own("b", "elsewhere"),
            String::new(),
            own("a", "r"),
            own("c", "R@conference.meet.example.com"),
            event("d", "test", "elsewhere", 1, &json!({})).to_string(),
            event("e", "source-started", "host", 1, &json!({"boot_id": "b"})).to_string(),
            r#"{"id":"f","event":"e","room":"r","timestamp":"soon"}"#.to_owned(),
        ])
        .await;
    let expected = [
        ("stored", ""),
        ("rejected", "json_invalid"),
        ("rejected", "meeting_not_found"),
        ("rejected", "json_invalid"),
        ("duplicate", ""),
        ("stored", ""),
        ("stored", ""),
        ("rejected", "event_invalid"),
        ("rejected", "event_invalid"),
    ];
    assert_eq!(statuses(&results), expected);
    let ids: Vec<_> = results.iter().map(|result| result["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["a", "", "b", "", "a", "c", "d", "e", "f"]);
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 2);
}

#[tokio::test]
async fn a_batch_stands_in_its_order() {
    let app = App::start().await;
    app.meeting("m1", "r1").await;
    app.meeting("m2", "r2").await;
    let lines: Vec<_> = (0..500)
        .map(|i| event(&format!("e{i}"), "e", if i % 3 == 0 { "r1" } else { "r2" }, 1000 - i, &json!({})))
        .map(|event| event.to_string())
        .collect();
    assert!(app.batch(&lines).await.iter().all(|result| result["status"] == "stored"));
    let stored: Vec<String> = sqlx::query_scalar("SELECT id FROM reflector.meeting_event ORDER BY position")
        .fetch_all(&app.db)
        .await
        .unwrap();
    assert_eq!(stored, (0..500).map(|i| format!("e{i}")).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_the_database_cannot_hold_is_refused_alone() {
    let app = Arc::new(App::start().await);
    app.meeting("m", "r").await;
    // JSON allows any exponent; Postgres's numbers end somewhere.
    let poison = r#"{"id":"poison","event":"e","room":"r","timestamp":0,"data":{"n":1e-99999}}"#.to_owned();
    let mut lines: Vec<_> =
        (0..40).map(|i| event(&format!("b{i}"), "e", "r", 1, &json!({})).to_string()).collect();
    lines.insert(17, poison.clone());
    let mut deliveries = JoinSet::new();
    for i in 0..20 {
        let app = Arc::clone(&app);
        let own = event(&format!("s{i}"), "e", "r", 1, &json!({}));
        deliveries.spawn(async move { app.event(&own).await.status });
    }
    let results = app.batch(&lines).await;
    for (place, result) in results.iter().enumerate() {
        let expected = if place == 17 { "rejected" } else { "stored" };
        assert_eq!(result["status"], expected, "{place}: {result}");
    }
    assert_eq!(results[17]["code"], "event_invalid");
    assert!(deliveries.join_all().await.iter().all(|status| *status == 200));
    let alone = app.send(signed("/v1/jitsi/events", "application/json", poison)).await;
    assert_eq!(alone.refusal(), (422, "event_invalid"));
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 60);
}

#[tokio::test]
async fn the_newest_meeting_of_a_room_takes_its_events() {
    let app = App::start().await;
    app.meeting("older", "r").await;
    app.event(&event("e1", "e", "r", 1, &json!({}))).await.ok();
    app.meeting("newer", "r").await;
    app.event(&event("e2", "e", "r", 1, &json!({}))).await.ok();
    app.event(&event("e1", "e", "r", 1, &json!({}))).await.ok();
    let stored: Vec<(String, String)> =
        sqlx::query_as("SELECT id, meeting_id FROM reflector.meeting_event ORDER BY position")
            .fetch_all(&app.db)
            .await
            .unwrap();
    let expected = [("e1", "older"), ("e2", "newer")];
    assert_eq!(stored, expected.map(|(id, meeting)| (id.to_owned(), meeting.to_owned())));
}

#[tokio::test]
async fn a_boot_of_a_source_is_kept_once_and_needs_no_meeting() {
    let app = App::start().await;
    let started =
        event("evt_b1", "source-started", "conference.x", 5, &json!({"boot_id": "b1", "source": "s"}));
    let answer = app.event(&started).await.ok();
    assert_eq!(answer["event"], "source-started");
    app.event(&started).await.ok();
    let again = app.batch(&[started.to_string()]).await;
    assert_eq!(again[0]["status"], "duplicate");
    assert_eq!(app.count("SELECT count(*) FROM reflector.source_boot WHERE source = 's'").await, 1);
}

#[tokio::test]
async fn a_test_is_acknowledged_anywhere_and_stored_where_there_is_a_meeting() {
    let app = App::start().await;
    app.meeting("m", "known").await;
    for room in ["known", "unknown"] {
        let answer = app.event(&event(&format!("t-{room}"), "test", room, 1, &json!({}))).await.ok();
        assert_eq!(answer, json!({"status": "ok", "event": "test", "room": room}));
    }
    let ids: HashSet<String> = sqlx::query_scalar("SELECT id FROM reflector.meeting_event")
        .fetch_all(&app.db)
        .await
        .unwrap()
        .into_iter()
        .collect();
    assert_eq!(ids, HashSet::from(["t-known".to_owned()]));
}

#[tokio::test]
async fn a_meeting_goes_with_everything_that_belongs_to_it() {
    let app = App::start().await;
    for room in ["goes", "stays"] {
        app.meeting(room, room).await;
        let occupant = json!({"occupant_id": "o"});
        app.event(&event(&format!("j-{room}"), "muc-occupant-joined", room, 1, &occupant)).await.ok();
        let session = json!({"session_id": "s"});
        app.event(&event(&format!("r-{room}"), "jibri-recording-on", room, 1, &session)).await.ok();
    }
    sqlx::query("DELETE FROM reflector.meeting WHERE id = 'goes'").execute(&app.db).await.unwrap();
    for (query, expected) in [
        ("SELECT count(*) FROM reflector.meeting_event", 2),
        ("SELECT count(*) FROM reflector.participant", 1),
        ("SELECT count(*) FROM reflector.recording_session", 1),
    ] {
        assert_eq!(app.count(query).await, expected, "{query}");
    }
}

/// Presence and recordings must be the fold of the events that are stored, and of nothing else.
#[tokio::test]
async fn an_id_that_is_stored_already_changes_nothing_whatever_comes_with_it() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    app.meeting("other", "other").await;
    let (occupant, session) = (json!({"occupant_id": "o"}), json!({"session_id": "s"}));
    app.event(&event("j", "muc-occupant-joined", "r", 1, &occupant)).await.ok();
    app.event(&event("on", "jibri-recording-on", "r", 1, &session)).await.ok();
    for room in ["r", "other"] {
        app.event(&event("j", "muc-occupant-left", room, 2, &occupant)).await.ok();
        app.event(&event("on", "jibri-recording-off", room, 2, &session)).await.ok();
        let results = app
            .batch(&[
                event("on", "muc-room-destroyed", room, 3, &json!({})).to_string(),
                event(&format!("new-{room}"), "e", room, 3, &json!({})).to_string(),
                event("j", "jibri-recording-on", room, 3, &json!({"session_id": "t"})).to_string(),
                event(&format!("new-{room}"), "muc-occupant-left", room, 4, &occupant).to_string(),
            ])
            .await;
        let expected = [("duplicate", ""), ("stored", ""), ("duplicate", ""), ("duplicate", "")];
        assert_eq!(statuses(&results), expected, "{room}");
    }
    for (query, expected) in [
        ("SELECT count(*) FROM reflector.meeting_event", 4),
        ("SELECT count(*) FROM reflector.participant", 1),
        ("SELECT count(*) FROM reflector.participant WHERE last_left_at IS NOT NULL", 0),
        ("SELECT count(*) FROM reflector.recording_session", 1),
        ("SELECT count(*) FROM reflector.recording_session WHERE last_off_at IS NOT NULL", 0),
    ] {
        assert_eq!(app.count(query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn an_id_that_stands_first_in_an_unknown_room_is_stored_where_the_room_is_known() {
    let app = App::start().await;
    app.meeting("m", "known").await;
    let lines = ["unknown", "known", "known"].map(|room| event("a", "e", room, 1, &json!({})).to_string());
    let expected = [("rejected", "meeting_not_found"), ("stored", ""), ("duplicate", "")];
    assert_eq!(statuses(&app.batch(&lines).await), expected);
}
