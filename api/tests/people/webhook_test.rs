//! `POST /v1/rooms/{room_id}/webhook/test`.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use contract::signature::{Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::app::App;
use crate::changes::{app_with_room, patch};
use crate::rooms::guide_room;

/// What a receiver got.
type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver on this host that answers everything with `status` and `body`: its address, and what it got.
async fn receiver(status: u16, body: &'static str) -> (String, Received) {
    let received = Received::default();
    let inbox = Arc::clone(&received);
    let take = async move |headers: HeaderMap, bytes: Bytes| {
        inbox.lock().unwrap().push((headers, bytes));
        let location = [("location", "http://127.0.0.1:1/elsewhere")];
        (StatusCode::from_u16(status).unwrap(), location, body)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    (url, received)
}

/// The service with a room of alice's whose webhook goes to `url`, where `networks` are allowed; the path of the test.
async fn app_with_hook(url: &str, networks: &str) -> (App, String) {
    let app = App::with(&[("WEBHOOK_ALLOWED_NETWORKS", networks)]).await;
    let mut body = guide_room("hooked");
    body["webhook_url"] = json!("https://example.com/hook");
    let room = app.post(Some("alice"), "/v1/rooms", &body).await.ok();
    let path = format!("/v1/rooms/{}", room["id"].as_str().unwrap());
    // Addresses inside are not taken any more, but rooms may have them from before.
    sqlx::query("UPDATE reflector.room SET webhook_url = $1").bind(url).execute(&app.db).await.unwrap();
    patch(&app, Some("alice"), &path, &json!({"webhook_secret": "the room's"})).await.ok();
    (app, format!("{path}/webhook/test"))
}

#[tokio::test]
async fn a_test_arrives_signed_and_its_answer_is_told() {
    let (url, received) = receiver(200, "{\"message\": \"thanks\"}").await;
    let (app, path) = app_with_hook(&url, "127.0.0.0/8").await;
    let result = app.post_nothing(Some("alice"), &path).await.ok();
    let expected = json!({
        "success": true, "message": "Webhook test successful", "error": "", "status_code": 200,
        "response_preview": "{\"message\": \"thanks\"}",
    });
    assert_eq!(result, expected);

    let (headers, body) = received.lock().unwrap().pop().unwrap();
    let header = |name: &str| headers.get(name).unwrap().to_str().unwrap();
    assert_eq!((header("x-webhook-event"), header("user-agent")), ("test", "Reflector-Webhook/1.0"));
    let secrets = Secrets::one("the room's");
    let now: i64 = header(WEBHOOK_TIMESTAMP).parse().unwrap();
    assert_eq!(header("x-webhook-signature"), secrets.sign_for_room(now, &body));
    let signed = secrets.sign(header(WEBHOOK_ID), now, &body);
    assert_eq!(header(WEBHOOK_SIGNATURE), signed.standard);

    let told: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&told["event"], &told["room"]["name"]), (&json!("test"), &json!("hooked")));
    assert_eq!(told["event_id"], header(WEBHOOK_ID));
    assert_eq!(told["message"], "This is a test webhook from Reflector");
    assert!(told["timestamp"].as_str().unwrap().ends_with('Z'), "{told}");
}

#[tokio::test]
async fn a_test_that_fails_is_an_answer_too_and_nobody_is_followed_elsewhere() {
    for (status, success) in [(204, true), (302, false), (404, false), (500, false)] {
        let (url, received) = receiver(status, "").await;
        let (app, path) = app_with_hook(&url, "127.0.0.0/8").await;
        let result = app.post_nothing(Some("alice"), &path).await.ok();
        assert_eq!((&result["success"], &result["status_code"]), (&json!(success), &json!(status)));
        assert_eq!(received.lock().unwrap().len(), 1);
    }
    let (app, path) = app_with_hook("http://127.0.0.1:1/hook", "127.0.0.0/8").await;
    let result = app.post_nothing(Some("alice"), &path).await.ok();
    assert_eq!((&result["success"], &result["status_code"]), (&json!(false), &Value::Null));
    let error = result["error"].as_str().unwrap();
    assert!(error.starts_with("Could not connect to webhook URL: "), "{error}");
}

#[tokio::test]
async fn a_long_answer_is_told_in_part() {
    let (url, _) = receiver(200, Box::leak("x".repeat(1024 * 1024).into_boxed_str())).await;
    let (app, path) = app_with_hook(&url, "127.0.0.0/8").await;
    let result = app.post_nothing(Some("alice"), &path).await.ok();
    let preview = result["response_preview"].as_str().unwrap();
    assert!(preview.len() < 4096 && preview.ends_with('…'), "{} bytes", preview.len());
}

#[tokio::test]
async fn what_only_this_host_can_reach_is_not_asked() {
    let (url, received) = receiver(200, "the host's own secret").await;
    let by_name = url.replace("127.0.0.1", "localhost");
    let mapped = url.replace("127.0.0.1", "[::ffff:127.0.0.1]");
    for url in [url, by_name, mapped, "http://169.254.169.254/latest/meta-data/".to_owned()] {
        let (app, path) = app_with_hook(&url, "").await;
        let result = app.post_nothing(Some("alice"), &path).await.ok();
        assert_eq!((&result["success"], &result["response_preview"]), (&json!(false), &Value::Null));
        let error = result["error"].as_str().unwrap();
        // Where a name leads to inside is nothing for those who may make rooms.
        assert_eq!(error, "The webhook was not sent: the address is not a public one", "{url}");
    }
    assert!(received.lock().unwrap().is_empty());
}

#[tokio::test]
async fn only_the_owner_tests_a_webhook_and_a_room_needs_one() {
    let (app, path) = app_with_room().await;
    let test = format!("{path}/webhook/test");
    let detail = json!("Not authorized to test this room's webhook");
    assert_eq!(app.post_nothing(Some("bob"), &test).await.refusal(), (403, "forbidden", &detail));
    assert_eq!(app.post_nothing(None, &test).await.status, 401);
    let unknown = app.post_nothing(Some("alice"), "/v1/rooms/none/webhook/test").await;
    assert_eq!(unknown.refusal(), (404, "room_not_found", &json!("Room not found")));
    let result = app.post_nothing(Some("alice"), &test).await.ok();
    assert_eq!((&result["success"], &result["error"]), (&json!(false), &json!("No webhook URL configured")));
}
