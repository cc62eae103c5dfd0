//! Calendars, which nothing reads yet.

use serde_json::{Value, json};

use crate::app::App;
use crate::changes::{app_with_room, patch};

#[tokio::test]
async fn a_calendar_is_empty_for_every_caller_and_every_room_that_is_there() {
    let (app, _) = app_with_room().await;
    for path in ["meetings", "meetings/upcoming", "meetings/upcoming?minutes_ahead=30"] {
        assert_eq!(app.get(None, &format!("/v1/rooms/daily/{path}")).await.ok(), json!([]), "{path}");
        assert_eq!(app.get(None, &format!("/v1/rooms/none/{path}")).await.status, 404, "{path}");
    }
    let answer = app.get(None, "/v1/rooms/daily/meetings/upcoming?minutes_ahead=soon").await;
    assert_eq!((answer.status, &answer.json["detail"][0]["type"]), (422, &json!("int_parsing")));
}

async fn ask(app: &App, user: Option<&str>, what: &str) -> crate::app::Answer {
    match what {
        "sync" => app.post_nothing(user, "/v1/rooms/daily/ics/sync").await,
        _ => app.get(user, "/v1/rooms/daily/ics/status").await,
    }
}

#[tokio::test]
async fn the_owner_learns_that_the_calendar_is_kept_and_not_read() {
    let (app, path) = app_with_room().await;
    let refused = ask(&app, Some("alice"), "sync").await;
    let detail = json!("ICS not configured for this room");
    assert_eq!(refused.refusal(), (400, "calendar_not_configured", &detail));
    let status = |switch: &str| json!({"status": switch, "last_sync": null, "next_sync": null, "last_etag": null, "events_count": 0});
    assert_eq!(ask(&app, Some("alice"), "status").await.ok(), status("disabled"));

    patch(&app, Some("alice"), &path, &json!({"ics_enabled": true})).await.ok();
    assert_eq!(ask(&app, Some("alice"), "sync").await.refusal().0, 400, "no address yet");
    patch(&app, Some("alice"), &path, &json!({"ics_url": "https://example.com/c.ics"})).await.ok();
    assert_eq!(ask(&app, Some("alice"), "status").await.ok(), status("enabled"));
    let result = ask(&app, Some("alice"), "sync").await.ok();
    let expected = json!({
        "status": "skipped", "hash": null, "events_found": 0, "total_events": 0, "events_created": 0,
        "events_updated": 0, "events_deleted": 0, "error": null, "reason": "this server does not read calendars",
    });
    assert_eq!(result, expected);
}

#[tokio::test]
async fn a_calendar_s_state_is_for_the_room_s_owner_alone() {
    let (app, path) = app_with_room().await;
    patch(&app, Some("alice"), &path, &json!({"is_shared": true})).await.ok();
    for (what, detail) in
        [("sync", "Only room owner can trigger ICS sync"), ("status", "Only room owner can view ICS status")]
    {
        assert_eq!(ask(&app, Some("bob"), what).await.refusal(), (403, "forbidden", &json!(detail)));
        assert_eq!(ask(&app, None, what).await.status, 401);
    }
    assert_eq!(app.get(Some("alice"), "/v1/rooms/none/ics/status").await.json["detail"], "Room not found");
    assert_eq!(app.get(Some("alice"), "/v1/rooms/daily/ics").await.json["detail"], Value::from("Not Found"));
}
