//! What every route for people's programs has in common: what the frontends count on whatever goes wrong.

use axum::body::Body;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, LOCATION, ORIGIN, RETRY_AFTER};
use http::{Method, Request};
use serde_json::json;

use crate::app::{Answer, App};
use crate::changes::{app_with_room, patch, send};
use crate::rooms::guide_room;

/// The answer to a page of another origin, whose program sends no token.
async fn from_a_page(app: &App, method: Method, path: &str, body: &'static str) -> Answer {
    let request = Request::builder().method(method).uri(path).header(ORIGIN, "https://ui.example");
    app.send(request.header("content-type", "application/json").body(Body::from(body)).unwrap()).await
}

#[tokio::test]
async fn a_page_can_read_every_error_also_those_of_the_server() {
    let (app, path) = app_with_room().await;
    let meeting = app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok();
    let consent = format!("/v1/meetings/{}/consent", meeting["id"].as_str().unwrap());
    sqlx::query("ALTER TABLE reflector.meeting_consent RENAME COLUMN consent_given TO agreed")
        .execute(&app.db)
        .await
        .unwrap();
    let agreed = r#"{"consent_given": true}"#;
    for (method, path, body, status) in [
        (Method::GET, "/v1/rooms", "", 401),
        (Method::GET, path.as_str(), "", 403),
        (Method::GET, "/v1/rooms/none", "", 404),
        (Method::GET, "/v1/nothing", "", 404),
        (Method::PUT, "/v1/rooms", "", 405),
        (Method::POST, consent.as_str(), "{}", 422),
        (Method::POST, consent.as_str(), agreed, 500),
    ] {
        let answer = from_a_page(&app, method, path, body).await;
        assert_eq!(answer.status, status, "{path}: {:#}", answer.json);
        assert_eq!(answer.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "*", "{path} {status}");
        let detail = &answer.json["detail"];
        assert!(detail.is_string() || detail[0]["msg"].is_string(), "{path} {status}: {detail}");
        assert!(!detail.to_string().contains("column"), "what failed is for the log only: {detail}");
    }
    app.db.close().await;
    let outage = from_a_page(&app, Method::POST, &consent, agreed).await;
    assert_eq!(outage.status, 503, "{:#}", outage.json);
    assert_eq!(outage.headers.get(ACCESS_CONTROL_ALLOW_ORIGIN).unwrap(), "*");
    assert!(outage.headers.contains_key(RETRY_AFTER));
}

#[tokio::test]
async fn another_method_is_answered_with_those_that_there_are() {
    let app = App::start().await;
    for (method, path, allowed) in [
        (Method::PUT, "/v1/rooms", &["GET", "POST"][..]),
        (Method::POST, "/v1/rooms/some", &["GET", "PATCH", "DELETE"]),
        (Method::GET, "/v1/rooms/some/meeting", &["POST"]),
        (Method::POST, "/v1/me", &["GET"]),
        (Method::GET, "/v1/meetings/some/deactivate", &["PATCH"]),
        (Method::PATCH, "/v1/user/api-keys", &["GET", "POST"]),
    ] {
        let answer = send(&app, method, Some("alice"), path, &json!({})).await;
        assert_eq!(answer.refusal(), (405, "method_not_allowed", &json!("Method Not Allowed")), "{path}");
        let allow = answer.headers.get(ALLOW).unwrap().to_str().unwrap();
        for method in allowed {
            assert!(allow.split(',').any(|one| one == *method), "{path}: {allow}");
        }
    }
}

#[tokio::test]
async fn a_slash_too_many_leads_to_the_path_without_it() {
    let app = App::start().await;
    for (method, path, target) in [
        (Method::GET, "/v1/rooms/?page=2", "/v1/rooms?page=2"),
        (Method::POST, "/v1/rooms/", "/v1/rooms"),
        (Method::POST, "/v1/rooms/daily/meeting/", "/v1/rooms/daily/meeting"),
        (Method::GET, "/v1/me/", "/v1/me"),
    ] {
        let answer = send(&app, method, Some("alice"), path, &json!({})).await;
        assert_eq!((answer.status, answer.headers.get(LOCATION).unwrap()), (307, &target.parse().unwrap()));
    }
}

#[tokio::test]
async fn pages_and_their_sizes_have_bounds() {
    let app = App::start().await;
    for (query, found) in [
        ("page=1&size=100", None),
        ("page=0", Some(("page", "greater_than_equal"))),
        ("page=-1", Some(("page", "greater_than_equal"))),
        ("page=9223372036854775807", Some(("page", "less_than_equal"))),
        ("size=101", Some(("size", "less_than_equal"))),
        ("size=1.5", Some(("size", "int_parsing"))),
    ] {
        let answer = app.get(Some("alice"), &format!("/v1/rooms?{query}")).await;
        let item = &answer.json["detail"][0];
        match found {
            None => assert_eq!((&answer.ok()["pages"], query), (&json!(0), query)),
            Some((parameter, kind)) => {
                assert_eq!((answer.status, &item["type"]), (422, &json!(kind)), "{query}");
                assert_eq!(item["loc"], json!(["query", parameter]), "{query}");
            }
        }
    }
}

#[tokio::test]
async fn times_are_utc_with_microseconds_that_stay_what_they_are() {
    let app = App::start().await;
    let room = app.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    let meeting = app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok();
    for text in [&room["created_at"], &meeting["start_date"], &meeting["end_date"]] {
        let text = text.as_str().unwrap();
        let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        let forms = ["0000-00-00T00:00:00.000000Z", "0000-00-00T00:00:00Z"];
        assert!(forms.contains(&form.as_str()), "{text}");
    }
    let again = app.get(None, "/v1/rooms/name/daily").await.ok();
    assert_eq!(again["created_at"], room["created_at"], "the database keeps what was answered");
    sqlx::query("UPDATE reflector.room SET created_at = '2026-03-01 10:00:00+02'")
        .execute(&app.db)
        .await
        .unwrap();
    assert_eq!(app.get(None, "/v1/rooms/name/daily").await.ok()["created_at"], "2026-03-01T08:00:00Z");
}

#[tokio::test]
async fn a_meeting_whose_time_is_over_is_not_joined() {
    let (app, _) = app_with_room().await;
    let meeting = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await.ok();
    let path = format!("/v1/rooms/daily/meetings/{}", meeting["id"].as_str().unwrap());
    sqlx::query("UPDATE reflector.meeting SET end_date = now()").execute(&app.db).await.unwrap();
    let refused = app.post_nothing(Some("alice"), &format!("{path}/join")).await;
    assert_eq!(refused.refusal(), (400, "meeting_ended", &json!("Meeting has ended")));
    assert_eq!(app.get(Some("alice"), &path).await.ok()["host_room_url"], "");
    assert_eq!(app.get(None, "/v1/rooms/daily/meetings/active").await.ok(), json!([]));
}

#[tokio::test]
async fn meetings_of_a_platform_that_was_taken_off_are_shown_without_addresses() {
    let app = App::with(&[("JITSI_DOMAIN", ""), ("JITSI_JWT_SECRET", "")]).await;
    app.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    sqlx::query(
        "INSERT INTO reflector.meeting (id, room_id, room_name, platform, start_date, end_date, is_locked, room_mode,
           recording_type, recording_trigger)
         SELECT 'm-1', id, 'reflector-daily-1', platform, now(), now() + interval '8 hours', is_locked, room_mode,
           recording_type, recording_trigger
         FROM reflector.room",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let list = app.get(Some("alice"), "/v1/rooms/daily/meetings/active").await.ok();
    let one = app.get(Some("alice"), "/v1/rooms/daily/meetings/m-1").await.ok();
    let record = app.get(Some("alice"), "/v1/meetings/m-1").await.ok();
    for meeting in [&list[0], &one, &record] {
        assert_eq!((&meeting["id"], &meeting["is_active"]), (&json!("m-1"), &json!(true)));
        assert_eq!((&meeting["room_url"], &meeting["host_room_url"]), (&json!(""), &json!("")));
    }
    let refused = app.post_nothing(Some("alice"), "/v1/rooms/daily/meetings/m-1/join").await;
    assert_eq!((refused.status, &refused.json["code"]), (503, &json!("platform_not_configured")));
}

#[tokio::test]
async fn an_unset_member_is_not_the_same_as_null() {
    let (app, path) = app_with_room().await;
    for member in
        ["zulip_stream", "zulip_topic", "is_shared", "recording_type", "skip_consent", "ics_enabled"]
    {
        let answer = patch(&app, Some("alice"), &path, &json!({member: null})).await;
        let item = &answer.json["detail"][0];
        assert_eq!((answer.status, &item["loc"]), (422, &json!(["body", member])), "{member}");
        assert!(item["msg"].is_string() && item["input"].is_null(), "{item}");
    }
}

/// What a program with a defect sends.
const NO_OBJECTS: [&str; 7] = ["null", "[]", "7", "\"text\"", "{", "\u{feff}{}", "[[[[[[[[{}"];
/// What only a route that can do without a body takes.
const NO_MEMBERS: [&str; 2] = ["", "{\"name\": \"\\u0000\"}"];

#[tokio::test]
async fn no_body_makes_the_server_fail() {
    let (app, path) = app_with_room().await;
    let meeting = app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok();
    let consent = format!("/v1/meetings/{}/consent", meeting["id"].as_str().unwrap());
    let authorization = format!("Bearer {}", app.token("alice"));
    for (method, path, without) in [
        (Method::POST, "/v1/rooms", 422),
        (Method::PATCH, path.as_str(), 422),
        (Method::POST, consent.as_str(), 422),
        (Method::POST, "/v1/user/api-keys", 422),
        (Method::POST, "/v1/rooms/daily/meeting", 200),
    ] {
        let wrong = NO_OBJECTS.map(|body| (body, 422));
        for (body, expected) in wrong.into_iter().chain(NO_MEMBERS.map(|body| (body, without))) {
            let request =
                Request::builder().method(&method).uri(path).header("authorization", &authorization);
            let request = request.header("content-type", "application/json").body(Body::from(body)).unwrap();
            let answer = app.send(request).await;
            assert_eq!(answer.status, expected, "{method} {path} {body:?}: {:#}", answer.json);
        }
    }
}
