//! Whereby's rate limit holds for all replicas together.

use http::Method;
use serde_json::json;
use testbed::whereby::{Fault, Whereby};

use crate::app::{Answer, App, ROOM, Replica};

const CREATE: &str = "POST /v1/meetings";

/// Begins another meeting, which costs three points.
async fn begin(replica: &Replica) -> Answer {
    let path = format!("/v1/rooms/{ROOM}/meeting");
    replica.ask(Method::POST, None, &path, Some(&json!({"allow_duplicated": true}))).await
}

#[tokio::test]
async fn replicas_spend_the_same_points_and_whereby_is_not_asked_beyond_them() {
    let app = App::with(Whereby::start_with(22).unwrap(), &[("WHEREBY_POINTS_PER_MINUTE", "22")]).await;
    let other = app.another();
    // Seven points are kept for those who come into the room's one meeting.
    for number in 0..5 {
        begin(if number % 2 == 0 { &app.replica } else { &other }).await.ok();
    }
    for replica in [&app.replica, &other] {
        let answer = begin(replica).await;
        assert_eq!(answer.refusal(), (503, "platform_unavailable"));
        assert!(answer.retry_after().is_some_and(|seconds| (4..=9).contains(&seconds)), "{answer:?}");
    }
    assert_eq!(app.calls(CREATE), 5, "what would have been too much was not asked");
    app.change("UPDATE reflector.meeting SET is_active = false").await;
    app.visit().await.ok();
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_intent").await, 0);
}

#[tokio::test]
async fn periodic_work_leaves_visitors_their_part() {
    let app = App::with(Whereby::start().unwrap(), &[("WHEREBY_POINTS_PER_MINUTE", "30")]).await;
    let whereby = app.replica.state.whereby.clone().unwrap();
    // Ten points each, and ten are kept.
    assert!(whereby.room_sessions("any").await.is_ok());
    assert!(whereby.room_sessions("any").await.is_ok());
    let refused = whereby.room_sessions("any").await.unwrap_err().to_string();
    assert!(refused.contains("rate limit"), "{refused}");
    assert_eq!(app.calls("GET /v1/insights"), 2);
    app.visit().await.ok();
}

#[tokio::test]
async fn when_whereby_wants_to_be_left_alone_every_replica_leaves_it() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::TooMany(30));
    assert_eq!(app.visit().await.retry_after(), Some(30));
    let answer = app.another().visit().await;
    assert_eq!(answer.refusal(), (503, "platform_unavailable"));
    assert!(answer.retry_after().is_some_and(|seconds| (20..=30).contains(&seconds)), "{answer:?}");
    assert_eq!(app.calls(CREATE), 1);
    app.change("UPDATE reflector.whereby_budget SET closed_until = now()").await;
    app.visit().await.ok();
}

#[tokio::test]
async fn neither_key_nor_secrets_are_printed() {
    let app = App::start().await;
    let printed = format!("{:?}", app.replica.state);
    assert!(printed.contains("Whereby"));
    for secret in [app.whereby.api_key(), app.whereby.webhook_secret()] {
        assert!(!printed.contains(secret), "{printed}");
    }
}
