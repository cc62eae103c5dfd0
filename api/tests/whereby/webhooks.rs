//! What Whereby is answered: it takes everything below 500 for final.

use std::time::Duration;

use api::domain::recording_object::WherebyFile;
use api::ingest::Outcome;
use axum::body::Body;
use http::{HeaderValue, Method, Request};
use serde_json::json;
use testbed::whereby::{Event, Person, Whereby, key_of, signature};
use time::OffsetDateTime;

use crate::app::{App, Replica};
use crate::support::wait;

fn event(kind: &str, data: serde_json::Value) -> Event {
    Event::new(kind, data, OffsetDateTime::now_utc())
}

#[tokio::test]
async fn only_what_whereby_signed_a_moment_ago_is_taken() {
    let app = App::start().await;
    let name = app.visit().await.ok()["room_name"].clone();
    let body = event("room.client.knocked", json!({"roomName": name, "displayName": "José"})).body();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let sign = |secret: &str, at: i64| Some(signature(secret, at, body.as_bytes()));
    let secret = app.whereby.webhook_secret();
    for (header, expected) in [
        (None, (401, "signature_invalid")),
        (Some(String::new()), (401, "signature_invalid")),
        (Some("t=soon,v1=00".to_owned()), (401, "signature_invalid")),
        (Some(format!("t={now}")), (401, "signature_invalid")),
        (sign("another-secret-of-theirs", now), (401, "signature_invalid")),
        (sign(secret, now - 400), (401, "timestamp_invalid")),
        (sign(secret, now + 400), (401, "timestamp_invalid")),
        (sign(secret, now - 200), (200, "")),
        (sign(secret, now), (200, "")),
    ] {
        let answer = app.replica.webhook(header.as_deref(), body.clone()).await;
        assert_eq!(answer.refusal(), expected, "{header:?}");
    }
    let mut request = Request::post("/v1/whereby").body(Body::from(body)).unwrap();
    request.headers_mut().insert("whereby-signature", HeaderValue::from_bytes(b"t=\xff").unwrap());
    assert_eq!(app.replica.send(request).await.refusal(), (401, "signature_invalid"));
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 1);
}

#[tokio::test]
async fn a_changed_secret_and_none_at_all() {
    let whereby = Whereby::start().unwrap();
    let both = format!("an-older-secret-of-whereby, {}", whereby.webhook_secret());
    let app = App::with(whereby, &[("WHEREBY_WEBHOOK_SECRET", &both)]).await;
    let knock = event("room.client.knocked", json!({}));
    app.tell(&knock).await.ok();
    let mut variables = app.variables.clone();
    variables.remove("WHEREBY_WEBHOOK_SECRET");
    let without = Replica::new(&variables, app.db().clone(), &app.options);
    let body = knock.body();
    let answer = without.webhook(Some(&app.sign(&body)), body).await;
    assert_eq!(answer.refusal(), (401, "signature_invalid"));
    for (replica, expected) in [(&app.replica, true), (&without, false)] {
        let health = replica.ask(Method::GET, None, "/v1/whereby/health", None).await.ok();
        assert_eq!(health["webhook_secret_configured"], expected);
        assert_eq!((&health["status"], &health["api_key_configured"]), (&json!("ok"), &json!(true)));
    }
}

#[tokio::test]
async fn what_no_meeting_takes_is_kept_and_what_nobody_knows_is_stored() {
    let app = App::start().await;
    let meeting = app.visit().await.ok();
    let (name, id) = (&meeting["room_name"], &meeting["id"]);
    for (kind, data) in [
        ("room.client.waved", json!({"roomName": name, "hands": 2})),
        ("transcription.failed", json!({"roomName": format!("/{}", name.as_str().unwrap()), "error": "e"})),
        ("room.client.knocked", json!({"meetingId": id})),
        ("room.client.knocked", json!({"meetingId": "1", "roomName": "/somebody-else-s"})),
        ("recording.finished", json!({"filename": "notes.txt"})),
        ("assistant.requested", json!({})),
    ] {
        let event = event(kind, data);
        app.tell(&event).await.ok();
        app.tell(&event).await.ok();
    }
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 3);
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_stray").await, 3);
    assert_eq!(app.bring_strays_home().await, 0);
    app.change("UPDATE reflector.whereby_stray SET received_at = now() - interval '8 days'").await;
    app.bring_strays_home().await;
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_stray").await, 0);
}

#[tokio::test]
async fn a_webhook_that_comes_before_its_meeting_is_stored_with_it() {
    let app = App::start().await;
    let meeting = app.visit().await.ok();
    let name = meeting["room_name"].as_str().unwrap();
    let events = app.whereby.join(name, &Person::new("p1", "José", "host")).unwrap();
    app.change("UPDATE reflector.meeting SET room_name = 'not-yet-' || room_name").await;
    app.tell(&events[0]).await.ok();
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_stray").await, 1);
    app.change("UPDATE reflector.meeting SET room_name = substr(room_name, 9)").await;
    assert_eq!((app.bring_strays_home().await, app.people().await), (1, 1));
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_stray").await, 0);
}

#[tokio::test]
async fn a_body_that_is_no_webhook_is_refused_for_good() {
    let app = App::start().await;
    let fine = event("room.client.joined", json!({"roomName": "/r", "displayName": "\u{0}"})).body();
    for (body, expected) in [
        ("nonsense".to_owned(), (422, "json_invalid")),
        ("[]".to_owned(), (422, "validation_failed")),
        ("{}".to_owned(), (422, "validation_failed")),
        (fine.clone(), (422, "event_invalid")),
        (format!("{fine}{}", " ".repeat(300_000)), (413, "body_too_large")),
    ] {
        let answer = app.replica.webhook(Some(&app.sign(&body)), body.clone()).await;
        assert_eq!(answer.refusal(), expected, "{body:.80}");
    }
}

#[tokio::test]
async fn without_a_database_whereby_is_told_to_come_again() {
    let app = App::start().await;
    let gone = app.options.clone().socket("/nowhere");
    let replica = Replica::new(&app.variables, api::db::pool(gone.clone()), &gone);
    let body = event("room.client.joined", json!({"roomName": "/r"})).body();
    let answer = replica.webhook(Some(&app.sign(&body)), body).await;
    assert_eq!(answer.refusal(), (503, "unavailable"));
    assert!(answer.retry_after().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn whereby_s_own_sender_is_content() {
    let app = App::start().await;
    let name = app.visit().await.ok()["room_name"].as_str().unwrap().to_owned();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/whereby", listener.local_addr().unwrap());
    let router = app.replica.router.clone();
    let served = tokio::spawn(async move { axum::serve(listener, router).await });
    for event in app.whereby.join(&name, &Person::new("p1", "Zoë Ünïcode", "host")).unwrap() {
        assert_eq!(app.whereby.send(&url, &event).unwrap().attempts().await, [Some(200)]);
    }
    wait::until("Zoë", async || (app.people().await == 1).then_some(())).await;
    served.abort();
    assert!(tokio::time::timeout(Duration::from_secs(5), served).await.is_ok());
}

#[tokio::test]
async fn two_webhooks_of_one_file_that_are_stored_together_are_one_recording() {
    let app = App::start().await;
    let meeting = app.visit().await.ok();
    let name = meeting["room_name"].as_str().unwrap();
    let now = OffsetDateTime::now_utc();
    let key = key_of(name, now, "mp4");
    let file_id = WherebyFile::parse(&key).unwrap().id;
    app.change(
        "INSERT INTO reflector.meeting SELECT (jsonb_populate_record(m, '{\"id\": \"other\", \"room_name\": \"other\"}')).*
         FROM reflector.meeting m",
    )
    .await;
    let finished = |id: &str| {
        let data = json!({"filename": key, "roomName": name, "status": "completed"});
        json!({"id": id, "event": "recording.finished", "room": name, "timestamp": 1, "data": data})
    };
    let data = json!({"recording_file": "/recordings/a.mp4", "recording_status": "completed"});
    let notice =
        json!({"id": file_id, "event": "recording_completed", "room": "other", "timestamp": 1, "data": data});
    let events = [
        finished("one"),
        notice,
        finished("two"),
        json!({"id": "three", "event": "e", "room": name, "timestamp": 1}),
    ];
    let events = events.map(|event| contract::event::Event::parse(event.to_string().as_bytes()).unwrap());
    let outcomes = app.replica.state.ingest.store(events.to_vec(), 1000).await.unwrap();
    assert_eq!(outcomes, [Outcome::Stored, Outcome::Stored, Outcome::Stored, Outcome::Stored]);
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 4);
    assert_eq!(app.count("SELECT count(*) FROM reflector.recording").await, 1);
}
