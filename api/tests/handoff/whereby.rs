//! Meetings at Whereby end by what its webhooks count, and by what it says when it is asked.

use std::time::{Duration, Instant};

use api::jobs;
use axum::body::Body;
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use testbed::whereby::{Event, Fault, Person, Whereby, signature};
use time::OffsetDateTime;

use crate::app::App;
use crate::support::wait;

const SESSIONS: &str = "GET /v1/insights/room-sessions";

/// A room whose meetings are held at Whereby.
async fn room() -> (Whereby, App) {
    let whereby = Whereby::start().unwrap();
    let variables = whereby.environment();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let app = App::with(&variables).await;
    app.room("standup", "").await;
    app.change("UPDATE reflector.room SET platform = 'whereby'").await;
    (whereby, app)
}

async fn visit(app: &App) {
    let (status, meeting) = app.visit(Method::POST, "/v1/rooms/standup/meeting").await;
    assert_eq!(status, 200, "{meeting}");
}

/// The same with a meeting; its name there.
async fn scene() -> (Whereby, App, String) {
    let (whereby, app) = room().await;
    visit(&app).await;
    let name = app.text("SELECT room_name FROM reflector.meeting").await.unwrap();
    (whereby, app, name)
}

/// Brings the webhooks of what happened.
async fn tell(app: &App, whereby: &Whereby, events: Option<Vec<Event>>) {
    for event in events.unwrap() {
        let body = event.body();
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let signed = signature(whereby.webhook_secret(), now, body.as_bytes());
        let request = Request::post("/v1/whereby")
            .header(CONTENT_TYPE, "application/json")
            .header("Whereby-Signature", signed)
            .body(Body::from(body))
            .unwrap();
        assert_eq!(app.send(request).await.0, 200);
    }
}

fn asked(whereby: &Whereby) -> usize {
    whereby.calls().iter().filter(|call| call.what.starts_with(SESSIONS)).count()
}

/// Looks twice, with the grace time between; returns how many meetings ended.
async fn look(app: &App) -> u64 {
    let first = app.sweep().await.ended;
    sqlx::query("UPDATE reflector.meeting SET empty_since = empty_since - interval '1 minute'")
        .execute(app.db())
        .await
        .unwrap();
    first + app.sweep().await.ended
}

#[tokio::test]
async fn a_meeting_at_whereby_goes_on_for_one_who_is_left_alone_and_ends_when_nobody_is() {
    let (whereby, app, name) = scene().await;
    assert_eq!(look(&app).await, 0);
    tell(&app, &whereby, whereby.join(&name, &Person::new("p1", "Ann", "host"))).await;
    tell(&app, &whereby, whereby.join(&name, &Person::new("p2", "Bob", "visitor"))).await;
    tell(&app, &whereby, whereby.leave(&name, "p2")).await;
    assert_eq!(look(&app).await, 0, "the session has ended, and Ann is still there");
    tell(&app, &whereby, whereby.leave(&name, "p1")).await;
    assert_eq!(asked(&whereby), 0, "nothing was to be decided");
    assert_eq!(look(&app).await, 1);
    assert_eq!(asked(&whereby), 1);
}

#[tokio::test]
async fn a_webhook_that_was_lost_ends_no_meeting_that_is_in_session() {
    let (whereby, app, name) = scene().await;
    tell(&app, &whereby, whereby.join(&name, &Person::new("p1", "Ann", "host"))).await;
    tell(&app, &whereby, whereby.leave(&name, "p1")).await;
    for person in ["p2", "p3"] {
        whereby.join(&name, &Person::new(person, "Somebody", "visitor")).unwrap();
    }
    assert_eq!(look(&app).await, 0);
    whereby.leave(&name, "p2").unwrap();
    whereby.leave(&name, "p3").unwrap();
    whereby.fail(SESSIONS, Fault::Status(500));
    assert_eq!(look(&app).await, 0, "nobody knows who is there");
    assert_eq!(look(&app).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_faster_than_the_meeting_is_in_it_at_once_and_not_after_a_minute() {
    let (whereby, app) = room().await;
    let strays = jobs::list(&app.state).into_iter().filter(|job| job.name == jobs::STRAYS).collect();
    let runner = jobs::runner::start(&app.state, strays);
    wait::until("the first run's end", async || {
        (app.count("SELECT count(last_ended_at) FROM reflector.job").await == 1).then_some(())
    })
    .await;
    whereby.fail("POST /v1/meetings", Fault::Slow(Duration::from_secs(1)));
    let early = async {
        let made = wait::until("a room at Whereby", async || whereby.rooms().pop()).await;
        tell(&app, &whereby, whereby.join(&made.name, &Person::new("p1", "Ann", "host"))).await;
        assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_stray").await, 1);
    };
    tokio::join!(visit(&app), early);
    let begun = Instant::now();
    wait::until("the webhook's event", async || {
        (app.count("SELECT count(*) FROM reflector.meeting_event").await == 1).then_some(())
    })
    .await;
    assert!(begun.elapsed() < Duration::from_secs(30), "it was woken, and did not wait for its time");
    runner.stop().await;
}

#[tokio::test]
async fn a_whereby_that_is_silent_is_asked_once_in_a_look_and_jitsi_s_meetings_end_meanwhile() {
    let (whereby, app, _) = scene().await;
    for number in 0..3 {
        app.meeting(&format!("at-whereby-{number}"), "standup", 8).await;
    }
    app.change(
        "UPDATE reflector.meeting SET platform = 'whereby', room_url = 'https://example.whereby.com/r'",
    )
    .await;
    app.change("UPDATE reflector.meeting SET end_date = now() - interval '1 minute'").await;
    app.meeting("zz-at-jitsi", "standup", -1).await;
    whereby.fail(SESSIONS, Fault::Reset);
    assert_eq!((app.sweep().await.ended, asked(&whereby)), (1, 1));
    assert_eq!((app.sweep().await.ended, asked(&whereby)), (4, 5));
}

#[tokio::test]
async fn once_whereby_tells_of_nobody_any_more_it_is_asked_whatever_was_counted() {
    let (whereby, app, name) = scene().await;
    for (id, name_of) in [("p1", "Ann"), ("p2", "Bob")] {
        tell(&app, &whereby, whereby.join(&name, &Person::new(id, name_of, "visitor"))).await;
    }
    app.change("UPDATE reflector.meeting SET end_date = now() - interval '59 minutes'").await;
    assert_eq!((look(&app).await, asked(&whereby)), (0, 0), "it still tells");
    app.change("UPDATE reflector.meeting SET end_date = now() - interval '60 minutes'").await;
    assert_eq!(
        (look(&app).await, asked(&whereby)),
        (0, 1),
        "two people are there, and it is not asked all the time"
    );
    for id in ["p1", "p2"] {
        whereby.leave(&name, id).unwrap();
    }
    app.change("UPDATE reflector.meeting SET asked_at = asked_at - interval '10 minutes'").await;
    assert_eq!((app.sweep().await.ended, asked(&whereby)), (1, 2));
    let reason = app.text("SELECT ended_reason FROM reflector.meeting").await;
    assert_eq!(reason.as_deref(), Some("expired"));
}
