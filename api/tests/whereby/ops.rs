//! What operators are shown of Whereby: receipts of its webhooks, and how many people are in its meetings.

use std::time::Duration;

use api::db::receipts::{Filter, StoredReceipt, page};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt as _;
use serde_json::json;
use testbed::whereby::{Event, Person, Whereby};
use time::OffsetDateTime;
use tower::ServiceExt as _;

use crate::app::{App, OWNER};

const PASSWORD: &str = "3c0ffee3c0ffee3c0ffee";

async fn receipts(app: &App) -> Vec<StoredReceipt> {
    app.replica.state.receipts.flush(Duration::from_secs(30)).await;
    page(app.db(), &Filter::default(), i64::MAX, 100).await.unwrap()
}

/// What an operator sees at `path`.
async fn shown(app: &App, path: &str) -> String {
    let authorization = format!("Basic {}", STANDARD.encode(format!("ann:{PASSWORD}")));
    let request = http::Request::get(path).header(AUTHORIZATION, authorization);
    let request = request.body(axum::body::Body::empty()).unwrap();
    let (parts, body) = app.replica.router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    assert_eq!(parts.status, 200, "{path}");
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_webhook_that_is_kept_for_its_meeting_is_accepted_and_no_trouble() {
    let app = App::start().await;
    let event = Event::new("room.client.knocked", json!({"roomName": "/not-yet"}), OffsetDateTime::now_utc());
    for _ in 0..2 {
        app.tell(&event).await.ok();
        let [newest, ..] = &receipts(&app).await[..] else { panic!("no receipt") };
        assert_eq!((newest.verdict.as_str(), newest.rejected, &newest.code), ("accepted", 0, &None));
        assert_eq!((newest.status, newest.room.as_deref()), (200, Some("not-yet")));
    }
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_stray").await, 1);
}

#[tokio::test]
async fn a_webhook_that_could_not_be_kept_has_failed() {
    let app = App::start().await;
    app.change("ALTER TABLE reflector.whereby_stray RENAME TO elsewhere").await;
    let event = Event::new("room.client.knocked", json!({"roomName": "/not-yet"}), OffsetDateTime::now_utc());
    assert_eq!(app.tell(&event).await.status, 500);
    assert_eq!(receipts(&app).await[0].verdict, "failed");
}

#[tokio::test]
async fn a_webhook_beyond_the_limit_is_limited_although_it_is_answered_503() {
    let app = App::with(Whereby::start().unwrap(), &[("REFLECTOR_API_DELIVERIES_PER_SECOND", "1")]).await;
    let event = Event::new("room.client.knocked", json!({"roomName": "/not-yet"}), OffsetDateTime::now_utc());
    app.tell(&event).await.ok();
    assert_eq!(app.tell(&event).await.refusal(), (503, "unavailable"));
    let newest = &receipts(&app).await[0];
    assert_eq!((newest.status, newest.verdict.as_str()), (503, "limited"));
}

#[tokio::test]
async fn operators_see_as_many_people_as_everybody_does() {
    let app = App::with(Whereby::start().unwrap(), &[("OPS_PASSWORD", PASSWORD)]).await;
    let meeting = app.visit().await.ok();
    let (id, room) = (meeting["id"].as_str().unwrap(), meeting["room_name"].as_str().unwrap());
    let mut events = Vec::new();
    for (id, name, role) in
        [("p1", "Ann", "host"), ("p2", "José", "visitor"), ("p3", "", "recorder"), ("p4", "", "streamer")]
    {
        events.extend(app.whereby.join(room, &Person::new(id, name, role)).unwrap());
    }
    // Nothing is heard of Ann's leave.
    app.whereby.leave(room, "p1").unwrap();
    events.extend(app.whereby.leave(room, "p3").unwrap());
    for (number, event) in events.iter_mut().enumerate() {
        event.created_at += time::Duration::milliseconds(10 * i64::try_from(number).unwrap());
        app.tell(event).await.ok();
    }
    let path = format!("/v1/meetings/{id}");
    let record = app.replica.ask(Method::GET, Some(OWNER), &path, None).await.ok();
    assert_eq!((app.people().await, &record["num_clients"]), (1, &json!(1)));

    let page = shown(&app, &format!("/ops/meetings/{id}")).await;
    assert!(page.contains("1 in it now"), "{page}");
    let bars = |class: &str| page.matches(&format!("class=\"{class}\"")).count();
    assert_eq!((bars("bar-human"), bars("bar-machine")), (2, 2), "a streamer is a machine");
    assert!(page.contains("Streamer") && !page.contains("recorders grey"), "{page}");
    for path in ["/ops/meetings", "/ops/overview"] {
        let page = shown(&app, path).await;
        assert!(page.contains("data-label=\"People now\" class=\"number\">1<"), "{path}: {page}");
    }
}
