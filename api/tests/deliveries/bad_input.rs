//! Whatever arrives has a defined answer, and nothing of it is stored.

use axum::body::Body;
use contract::batch::MAX_BYTES;
use contract::event::MAX_EVENT_BYTES;
use contract::signature::{JITSI_SIGNATURE, Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde_json::json;
use time::OffsetDateTime;

use crate::app::{App, WEBHOOK_SECRET, event, signed};

const PATH: &str = "/v1/jitsi/events";
const GOOD: &str = r#"{"id":"good","event":"e","room":"r","timestamp":0,"data":{}}"#;

fn with_headers(headers: &[(&str, &str)], body: &str) -> Request<Body> {
    let request = Request::post(PATH).header(CONTENT_TYPE, "application/json");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::from(body.to_owned())).unwrap()
}

/// All headers of a delivery that was signed at `now`.
fn dated(now: i64, body: &str) -> Vec<(&'static str, String)> {
    let headers = Secrets::parse(WEBHOOK_SECRET).unwrap().sign("evt_1", now, body.as_bytes());
    vec![
        (JITSI_SIGNATURE, headers.jitsi),
        (WEBHOOK_ID, "evt_1".to_owned()),
        (WEBHOOK_TIMESTAMP, headers.timestamp),
        (WEBHOOK_SIGNATURE, headers.standard),
    ]
}

fn dated_request(now: i64, body: &str) -> Request<Body> {
    let headers = dated(now, body);
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    with_headers(&headers, body)
}

#[tokio::test]
async fn a_delivery_that_is_not_signed_by_us_is_refused_and_nothing_is_stored() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let other = Secrets::parse("another-secret-of-somebody").unwrap().sign("x", 0, GOOD.as_bytes()).jitsi;
    let right = Secrets::parse(WEBHOOK_SECRET).unwrap().sign("x", 0, GOOD.as_bytes()).jitsi;
    let long_ago = OffsetDateTime::now_utc().unix_timestamp() - 3600;
    let in_future = OffsetDateTime::now_utc().unix_timestamp() + 3600;
    for (what, request, expected) in [
        ("unsigned", with_headers(&[], GOOD), (401, "signature_invalid")),
        ("empty", with_headers(&[(JITSI_SIGNATURE, "")], GOOD), (401, "signature_invalid")),
        ("another secret", with_headers(&[(JITSI_SIGNATURE, &other)], GOOD), (401, "signature_invalid")),
        (
            "another body",
            with_headers(&[(JITSI_SIGNATURE, &right)], &GOOD.replace("good", "bad!")),
            (401, "signature_invalid"),
        ),
        ("unsigned and not JSON", with_headers(&[], "nonsense"), (401, "signature_invalid")),
        ("an hour old", dated_request(long_ago, GOOD), (401, "timestamp_invalid")),
        ("an hour early", dated_request(in_future, GOOD), (401, "timestamp_invalid")),
    ] {
        assert_eq!(app.send(request).await.refusal(), expected, "{what}");
    }
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 0);
    let detail = app.send(with_headers(&[], GOOD)).await.body["detail"].clone();
    assert_eq!(detail, "Invalid webhook signature");
    let detail = app.send(dated_request(long_ago, GOOD)).await.body["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("The signature's timestamp is 360") && detail.contains("behind"), "{detail}");
    let now = OffsetDateTime::now_utc().unix_timestamp();
    app.send(dated_request(now, GOOD)).await.ok();
}

#[tokio::test]
async fn a_replay_within_the_tolerance_changes_nothing() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for _ in 0..3 {
        app.send(dated_request(now, GOOD)).await.ok();
    }
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 1);
}

#[tokio::test]
async fn a_server_that_asks_for_dates_refuses_deliveries_without() {
    let app = App::with(&[("JITSI_REQUIRE_TIMESTAMP", "true")]).await;
    app.meeting("m", "r").await;
    assert_eq!(app.send(signed(PATH, "application/json", GOOD)).await.refusal(), (401, "timestamp_invalid"));
    let now = OffsetDateTime::now_utc().unix_timestamp();
    app.send(dated_request(now, GOOD)).await.ok();
}

#[tokio::test]
async fn without_a_secret_every_delivery_is_refused_and_health_says_so() {
    let app = App::with(&[("JITSI_WEBHOOK_SECRET", "")]).await;
    assert_eq!(app.send(signed(PATH, "application/json", GOOD)).await.refusal(), (401, "signature_invalid"));
    assert_eq!(app.get("/v1/jitsi/health").await.ok()["webhook_secret_configured"], false);
}

#[tokio::test]
async fn what_is_signed_but_wrong_is_refused_for_a_named_reason() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let deep = format!(
        r#"{{"event":"e","room":"r","timestamp":0,"data":{{"x":{}{}}}}}"#,
        "[".repeat(500),
        "]".repeat(500)
    );
    let huge = format!(
        r#"{{"event":"e","room":"r","timestamp":0,"data":{{"x":"{}"}}}}"#,
        "x".repeat(MAX_EVENT_BYTES)
    );
    let many = "{}\n".repeat(501);
    let large = "x".repeat(MAX_BYTES + 1);
    let json = "application/json";
    let ndjson = "application/x-ndjson";
    for (what, content_type, body, expected) in [
        ("not JSON", json, "nonsense".as_bytes(), (422, "json_invalid")),
        ("empty", json, b"", (422, "json_invalid")),
        ("not UTF-8", json, b"{\"event\":\"\xff\"}", (422, "json_invalid")),
        ("an array", json, b"[]", (422, "event_invalid")),
        ("no members", json, b"{}", (422, "event_invalid")),
        (
            "NUL",
            json,
            br#"{"event":"e","room":"r","timestamp":0,"data":{"a":"\u0000"}}"#,
            (422, "event_invalid"),
        ),
        (
            "half a pair",
            json,
            br#"{"event":"e","room":"r","timestamp":0,"data":{"a":"\ud800"}}"#,
            (422, "event_invalid"),
        ),
        (
            "a line break in the room",
            json,
            br#"{"event":"e","room":"r\n","timestamp":0}"#,
            (422, "event_invalid"),
        ),
        ("only a domain", json, br#"{"event":"e","room":"@x","timestamp":0}"#, (422, "event_invalid")),
        ("nested without end", json, deep.as_bytes(), (422, "event_invalid")),
        ("no time", json, br#"{"event":"e","room":"r","timestamp":null}"#, (422, "event_invalid")),
        (
            "unknown room",
            json,
            br#"{"event":"e","room":"unknown","timestamp":0}"#,
            (404, "meeting_not_found"),
        ),
        ("too large", json, huge.as_bytes(), (413, "body_too_large")),
        ("plain text", "text/plain", GOOD.as_bytes(), (415, "media_type_unsupported")),
        ("a form", "application/x-www-form-urlencoded", GOOD.as_bytes(), (415, "media_type_unsupported")),
        ("a batch of too many", ndjson, many.as_bytes(), (413, "body_too_large")),
        ("a batch too large", ndjson, large.as_bytes(), (413, "body_too_large")),
        ("an empty batch", ndjson, b"", (422, "json_invalid")),
    ] {
        let answer = app.send(signed(PATH, content_type, body)).await;
        assert_eq!(answer.refusal(), expected, "{what}: {}", answer.body);
        assert!(answer.body["detail"].is_string() || answer.body["detail"][0]["msg"].is_string(), "{what}");
    }
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 0);
}

#[tokio::test]
async fn a_compressed_body_is_refused_by_the_name_of_its_header() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    for (encoding, expected) in [("gzip", 415), ("identity, gzip", 415), ("Identity", 200)] {
        let mut request = signed(PATH, "application/json", GOOD);
        request.headers_mut().insert(CONTENT_ENCODING, encoding.parse().unwrap());
        let answer = app.send(request).await;
        assert_eq!(answer.status, expected, "{encoding}: {}", answer.body);
        let names_it = answer.body["detail"].as_str().is_some_and(|text| text.contains("Content-Encoding"));
        assert_eq!(names_it, expected == 415, "{encoding}: {}", answer.body);
    }
}

#[tokio::test]
async fn every_spelling_of_a_room_leads_to_its_meeting() {
    let app = App::start().await;
    app.meeting("plain", "standup-3f0c").await;
    app.meeting("encoded", "%c3%bcn%c3%afcode").await;
    for (number, (room, expected)) in [
        ("standup-3f0c", "standup-3f0c"),
        ("Standup-3F0C", "standup-3f0c"),
        ("standup-3f0c@conference.meet.example.com", "standup-3f0c"),
        ("[tenant]standup-3f0c@conference.meet.example.com", "standup-3f0c"),
        ("Ünïcode", "%c3%bcn%c3%afcode"),
        ("%C3%BCn%C3%AFcode", "%c3%bcn%c3%afcode"),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = app.event(&event(&format!("e{number}"), "e", room, 0, &json!({}))).await.ok();
        assert_eq!(answer["room"], expected, "{room}");
    }
    let plain = "SELECT count(*) FROM reflector.meeting_event WHERE meeting_id = 'plain'";
    assert_eq!(app.count(plain).await, 4);
    assert_eq!(app.count("SELECT count(*) FROM reflector.meeting_event").await, 6);
}

#[tokio::test]
async fn an_event_of_an_unknown_name_and_without_a_content_type_is_stored_as_it_is() {
    let app = App::start().await;
    app.meeting("m", "r").await;
    let body =
        r#"{"id":"x","event":"of-a-later-release","room":"r","timestamp":0,"data":{"z":1,"a":{"b":[]}}}"#;
    let mut request = signed(PATH, "application/json", body);
    request.headers_mut().remove(CONTENT_TYPE);
    app.send(request).await.ok();
    let (name, data): (String, serde_json::Value) =
        sqlx::query_as("SELECT name, data FROM reflector.meeting_event").fetch_one(&app.db).await.unwrap();
    assert_eq!((name.as_str(), data), ("of-a-later-release", json!({"z": 1, "a": {"b": []}})));
}
