//! Meetings begin and end by who is in them.

use http::Method;
use serde_json::{Value, json};

use crate::app::{App, lifecycle};

const JOINED: &str = "muc-occupant-joined";
const LEFT: &str = "muc-occupant-left";

fn ann() -> Value {
    json!({"occupant_id": "ann"})
}

async fn room_with_meeting(hours: i32) -> App {
    let app = App::start().await;
    app.room("standup", "").await;
    app.meeting("m-1", "standup", hours).await;
    app
}

/// Why the meeting ended, `None` while it is on.
async fn ended(app: &App) -> Option<String> {
    app.text("SELECT ended_reason FROM reflector.meeting WHERE id = 'm-1'").await
}

/// The grace time is over.
async fn grace_passes(app: &App) {
    app.change("UPDATE reflector.meeting SET empty_since = empty_since - interval '1 minute'").await;
}

#[tokio::test]
async fn a_meeting_ends_a_minute_after_the_last_has_left() {
    let app = room_with_meeting(8).await;
    assert_eq!(app.sweep().await.started, 0, "nobody came yet");
    app.event(JOINED, "m-1", 1, &ann()).await;
    app.event(JOINED, "m-1", 2, &json!({"occupant_id": "jibri", "kind": "recorder"})).await;
    assert_eq!(app.sweep().await.started, 1);
    assert_eq!(app.sweep().await.started, 0);
    app.event(LEFT, "m-1", 3, &ann()).await;
    assert_eq!(app.sweep().await.ended, 0, "the grace time begins");
    app.change("UPDATE reflector.meeting SET empty_since = empty_since - interval '50 s'").await;
    assert_eq!(app.sweep().await.ended, 0, "it lasts");
    grace_passes(&app).await;
    assert_eq!(app.sweep().await.ended, 1, "a recorder alone is nobody");
    assert_eq!(ended(&app).await.as_deref(), Some("empty"));
    assert_eq!(app.sweep().await.ended, 0);
}

#[tokio::test]
async fn whoever_comes_back_in_time_finds_the_meeting_on() {
    let app = room_with_meeting(8).await;
    app.event(JOINED, "m-1", 1, &ann()).await;
    app.event(LEFT, "m-1", 2, &ann()).await;
    app.sweep().await;
    app.event(JOINED, "m-1", 3, &ann()).await;
    grace_passes(&app).await;
    assert_eq!(app.sweep().await.ended, 0);
    let empty = app.count("SELECT count(*) FROM reflector.meeting WHERE empty_since IS NOT NULL").await;
    assert_eq!(empty, 0);
}

#[tokio::test]
async fn a_visitor_on_the_way_in_is_waited_for() {
    let app = App::with(&[
        ("JITSI_DOMAIN", "meet.example.com"),
        ("JITSI_JWT_SECRET", "6a1f0c2b9d8e47a35b60c1d2e3f40516"),
    ])
    .await;
    app.room("standup", "").await;
    app.meeting("m-1", "standup", 8).await;
    for path in ["/v1/rooms/standup/meeting", "/v1/rooms/standup/meetings/m-1/join"] {
        app.event(JOINED, "m-1", 1, &ann()).await;
        app.event(LEFT, "m-1", 2, &ann()).await;
        app.sweep().await;
        grace_passes(&app).await;
        let (status, meeting) = app.visit(Method::POST, path).await;
        assert_eq!((status, &meeting["id"]), (200, &json!("m-1")), "{meeting}");
        assert_eq!(app.sweep().await.ended, 0, "{path}");
    }
    grace_passes(&app).await;
    assert_eq!(app.sweep().await.ended, 1, "but not for ever");
}

#[tokio::test]
async fn everybody_is_gone_when_the_room_is_destroyed_or_its_host_starts_anew() {
    for (name, data) in [
        ("muc-room-destroyed", json!({})),
        ("source-started", json!({"boot_id": "boot-2", "source": "prosody", "seq": 0})),
    ] {
        let app = room_with_meeting(8).await;
        app.event("source-started", "m-1", 1, &json!({"boot_id": "boot-1", "source": "prosody", "seq": 0}))
            .await;
        app.event(JOINED, "m-1", 2, &json!({"occupant_id": "ann", "boot_id": "boot-1", "seq": 1})).await;
        app.sweep().await;
        grace_would_pass(&app).await;
        app.event(name, "m-1", 3, &data).await;
        app.sweep().await;
        grace_passes(&app).await;
        assert_eq!(app.sweep().await.ended, 1, "{name}");
        assert_eq!(ended(&app).await.as_deref(), Some("empty"), "{name}");
    }
}

/// Somebody is there: no grace time has begun.
async fn grace_would_pass(app: &App) {
    let empty = app.count("SELECT count(*) FROM reflector.meeting WHERE empty_since IS NOT NULL").await;
    assert_eq!(empty, 0);
}

#[tokio::test]
async fn a_meeting_that_nobody_came_to_ends_with_its_time_and_one_with_somebody_does_not() {
    let app = room_with_meeting(-1).await;
    app.meeting("m-2", "standup", -1).await;
    app.meeting("m-3", "standup", 1).await;
    app.event(JOINED, "m-2", 1, &ann()).await;
    assert_eq!(app.sweep().await.ended, 1);
    assert_eq!(ended(&app).await.as_deref(), Some("expired"));
    app.change("UPDATE reflector.meeting SET end_date = now() - interval '24 h' WHERE id = 'm-2'").await;
    assert_eq!(app.sweep().await.ended, 1, "a host that is gone for good tells of no leaving");
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting WHERE is_active").await, 1);
}

#[tokio::test]
async fn replicas_that_look_at_the_same_time_end_a_meeting_once() {
    let app = room_with_meeting(-1).await;
    for number in 0..50 {
        app.meeting(&format!("other-{number}"), "standup", -1).await;
    }
    let replicas = [app.replica(), app.replica(), app.replica()].map(|state| lifecycle(&state));
    let [one, two, three] = &replicas;
    let (one, two, three) = tokio::join!(one.sweep(), two.sweep(), three.sweep());
    assert_eq!(one.unwrap().ended + two.unwrap().ended + three.unwrap().ended, 51);
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_fact").await, 51);
}

/// What is to be told, in its order.
async fn told(app: &App) -> Vec<String> {
    sqlx::query_scalar("SELECT event FROM reflector.webhook_fact ORDER BY position")
        .fetch_all(app.db())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_meeting_whose_beginning_and_end_are_noted_at_once_is_told_in_that_order() {
    let app = room_with_meeting(8).await;
    app.change(
        "UPDATE reflector.meeting SET started_at = now(), is_active = false, ended_at = now(), ended_reason = 'empty'",
    )
    .await;
    assert_eq!(told(&app).await, ["meeting.started", "meeting.ended"]);
}

#[tokio::test]
async fn a_meeting_that_its_owner_ends_before_anybody_has_looked_began_if_somebody_came() {
    for (came, expected) in [(true, &["meeting.started", "meeting.ended"][..]), (false, &["meeting.ended"])] {
        let app = room_with_meeting(8).await;
        if came {
            app.event(JOINED, "m-1", 1, &ann()).await;
        }
        app.end("m-1").await;
        assert_eq!(told(&app).await, expected);
        let started = app.count("SELECT count(started_at) FROM reflector.meeting").await;
        assert_eq!(started, i64::from(came));
    }
}
