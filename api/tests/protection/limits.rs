//! Floods.

use axum::body::Body;
use http::Request;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ORIGIN, RETRY_AFTER};

use crate::app::{App, WEBHOOK_SECRET, delivery, from};

const WRONG: &str = "a secret that is wrong";

#[tokio::test]
async fn wrong_signatures_are_told_to_wait_and_right_ones_are_taken() {
    let app = App::with(&[("REFLECTOR_API_SIGNATURE_FAILURES_PER_MINUTE", "3")]).await;
    for _ in 0..3 {
        assert_eq!(app.send(from("192.0.2.1", delivery(WRONG, None))).await.status, 401);
    }
    let refused = app.send(from("192.0.2.1", delivery(WRONG, None))).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("rate_limited")));
    let wait: u64 = refused.headers.get(RETRY_AFTER).unwrap().to_str().unwrap().parse().unwrap();
    assert!((1..=20).contains(&wait), "{wait}");
    assert_eq!(app.send(from("192.0.2.1", delivery(WEBHOOK_SECRET, None))).await.status, 200);
    assert_eq!(app.send(from("192.0.2.2", delivery(WRONG, None))).await.status, 401, "somebody else");
}

#[tokio::test]
async fn who_sends_too_much_is_told_to_wait_and_browsers_can_read_why() {
    let app = App::with(&[("REFLECTOR_API_DELIVERIES_PER_SECOND", "1")]).await;
    assert_eq!(app.send(from("192.0.2.1", delivery(WEBHOOK_SECRET, None))).await.status, 200);
    let mut second = from("192.0.2.1", delivery(WEBHOOK_SECRET, None));
    second.headers_mut().insert(ORIGIN, "https://reflector.example.com".parse().unwrap());
    let refused = app.send(second).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("rate_limited")));
    assert_eq!(refused.headers.get(RETRY_AFTER).unwrap(), "1");
    assert_eq!(refused.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "*");
    assert_eq!(app.send(from("192.0.2.1", health())).await.status, 200, "no delivery");
}

#[tokio::test]
async fn who_answers_for_too_many_whether_they_agree_is_told_to_wait() {
    let app = App::with(&[("REFLECTOR_API_ANSWERS_PER_MINUTE", "2")]).await;
    let answer = || {
        let request = Request::post("/v1/meetings/none/consent").header("content-type", "application/json");
        request.body(Body::from(r#"{"consent_given": false}"#)).unwrap()
    };
    for _ in 0..2 {
        assert_eq!(app.send(from("192.0.2.1", answer())).await.status, 404);
    }
    let refused = app.send(from("192.0.2.1", answer())).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("rate_limited")));
    assert!(refused.headers.contains_key(RETRY_AFTER));
    assert_eq!(app.send(from("192.0.2.2", answer())).await.status, 404, "somebody else");
    assert_eq!(app.send(from("192.0.2.1", delivery(WEBHOOK_SECRET, None))).await.status, 200, "no answer");
}

#[tokio::test]
async fn whereby_is_told_to_come_back_because_it_gives_up_on_a_refusal() {
    let app = App::with(&[("REFLECTOR_API_DELIVERIES_PER_SECOND", "1")]).await;
    let webhook = || from("192.0.2.1", Request::post("/v1/whereby").body(Body::from("{}")).unwrap());
    assert_ne!(app.send(webhook()).await.status, 503);
    let refused = app.send(webhook()).await;
    assert_eq!((refused.status, refused.headers.contains_key(RETRY_AFTER)), (503, true));
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_budget() {
    let app = App::with(&[("REFLECTOR_API_DELIVERIES_PER_SECOND", "1")]).await;
    let forwarded = |proxy: &str, client: &str| {
        let mut request = from(proxy, delivery(WEBHOOK_SECRET, None));
        request.headers_mut().insert("x-forwarded-for", client.parse().unwrap());
        request
    };
    assert_eq!(app.send(forwarded("127.0.0.1", "192.0.2.1")).await.status, 200);
    assert_eq!(app.send(forwarded("127.0.0.1", "192.0.2.2")).await.status, 200);
    assert_eq!(app.send(forwarded("127.0.0.1", "192.0.2.1")).await.status, 429);
    assert_eq!(app.send(forwarded("203.0.113.5", "192.0.2.7")).await.status, 200);
    assert_eq!(app.send(forwarded("203.0.113.5", "192.0.2.8")).await.status, 429, "not a proxy of ours");
}

fn health() -> Request<Body> {
    Request::get("/v1/jitsi/health").body(Body::empty()).unwrap()
}
