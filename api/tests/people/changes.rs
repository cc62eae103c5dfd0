//! What changes rooms and meetings that are there: `PATCH` and `DELETE`, consent, the end of a meeting; and who the caller is.

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::rooms::guide_room;

pub(crate) async fn send(app: &App, method: Method, user: Option<&str>, path: &str, body: &Value) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, "application/json");
    if let Some(user) = user {
        request = request.header(AUTHORIZATION, format!("Bearer {}", app.token(user)));
    }
    app.send(request.body(Body::from(body.to_string())).unwrap()).await
}

pub(crate) async fn patch(app: &App, user: Option<&str>, path: &str, body: &Value) -> Answer {
    send(app, Method::PATCH, user, path, body).await
}

/// The service with a room of alice's, and the room's path.
pub(crate) async fn app_with_room() -> (App, String) {
    let app = App::start().await;
    let room = app.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    let path = format!("/v1/rooms/{}", room["id"].as_str().unwrap());
    (app, path)
}

#[tokio::test]
async fn a_change_touches_what_it_mentions_and_nothing_else() {
    let (app, path) = app_with_room().await;
    let before = app.get(Some("alice"), &path).await.ok();
    assert_eq!(patch(&app, Some("alice"), &path, &json!({})).await.ok(), before);

    let calendar =
        json!({"ics_url": "https://example.com/c.ics", "ics_fetch_interval": 5, "ics_enabled": "yes"});
    let changes = json!({
        "name": "weekly", "is_shared": true, "recording_type": "local", "skip_consent": true,
        "ics_url": calendar["ics_url"], "ics_fetch_interval": 5, "ics_enabled": "yes",
    });
    let mut expected = before;
    expected.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    expected["ics_enabled"] = json!(true);
    assert_eq!(patch(&app, Some("alice"), &path, &changes).await.ok(), expected);
    assert_eq!(app.get(Some("alice"), &path).await.ok(), expected);
    let cleared = patch(&app, Some("alice"), &path, &json!({"ics_url": null})).await.ok();
    assert_eq!((&cleared["ics_url"], &cleared["ics_fetch_interval"]), (&Value::Null, &json!(5)));
}

#[tokio::test]
async fn a_webhook_keeps_its_secret_until_it_gets_another() {
    let (app, path) = app_with_room().await;
    let change = |body: Value| {
        let (app, path) = (&app, &path);
        async move { patch(app, Some("alice"), path, &body).await.ok()["webhook_secret"].clone() }
    };
    let made = change(json!({"webhook_url": "https://example.com/hook"})).await;
    assert_eq!(made.as_str().unwrap().len(), 43);
    assert_eq!(change(json!({"webhook_url": "https://example.com/two", "webhook_secret": ""})).await, made);
    assert_eq!(change(json!({"webhook_secret": "chosen"})).await, "chosen");
}

#[tokio::test]
async fn a_webhook_from_before_that_is_not_good_enough_any_more_stands_in_nobody_s_way() {
    let (app, path) = app_with_room().await;
    let old = "http://10.0.0.1/hook";
    sqlx::query("UPDATE reflector.room SET webhook_url = $1").bind(old).execute(&app.db).await.unwrap();
    let body = json!({"webhook_url": old, "is_locked": true});
    let changed = patch(&app, Some("alice"), &path, &body).await.ok();
    assert_eq!((&changed["webhook_url"], &changed["is_locked"]), (&json!(old), &json!(true)));
    let refused = patch(&app, Some("alice"), &path, &json!({"webhook_url": "http://10.0.0.2/hook"})).await;
    assert_eq!((refused.status, &refused.json["detail"][0]["loc"]), (422, &json!(["body", "webhook_url"])));
}

#[tokio::test]
async fn what_a_room_cannot_be_is_refused_and_changes_nothing() {
    let (app, path) = app_with_room().await;
    app.post(Some("bob"), "/v1/rooms", &guide_room("taken")).await.ok();
    let before = app.get(Some("alice"), &path).await.ok();
    for (body, member, kind) in [
        (json!({"room_mode": "huge"}), "room_mode", "literal_error"),
        (json!({"platform": "daily"}), "platform", "literal_error"),
        (json!({"platform": null}), "platform", "literal_error"),
        (json!({"name": null}), "name", "string_type"),
        (json!({"name": "A B"}), "name", "value_error"),
        (json!({"is_locked": null}), "is_locked", "bool_type"),
        (json!({"ics_fetch_interval": 0}), "ics_fetch_interval", "greater_than_equal"),
        (json!({"webhook_url": "ftp://example.com"}), "webhook_url", "value_error"),
        (json!({"webhook_url": "http://169.254.169.254/"}), "webhook_url", "value_error"),
        (json!({"webhook_url": "https://ann:hunter2@example.com/"}), "webhook_url", "value_error"),
    ] {
        let answer = patch(&app, Some("alice"), &path, &body).await;
        let found = (answer.status, &answer.json["detail"][0]["loc"], &answer.json["detail"][0]["type"]);
        assert_eq!(found, (422, &json!(["body", member]), &json!(kind)), "{body}");
    }
    let taken = patch(&app, Some("alice"), &path, &json!({"name": "taken"})).await;
    assert_eq!(taken.refusal(), (400, "room_name_taken", &json!("Room name is not unique")));
    assert_eq!(app.get(Some("alice"), &path).await.ok(), before);
}

#[tokio::test]
async fn a_room_that_moves_has_its_next_meeting_on_the_other_platform() {
    let (app, path) = app_with_room().await;
    let on = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await.ok();
    let moved = patch(&app, Some("alice"), &path, &json!({"platform": "whereby"})).await.ok();
    assert_eq!(moved["platform"], "whereby");
    assert_eq!(app.get(Some("alice"), &path).await.ok(), moved);
    let next = app.post_nothing(None, "/v1/rooms/daily/meeting").await;
    assert_eq!(
        (next.status, &next.json["code"]),
        (503, &json!("platform_not_configured")),
        "no Whereby here"
    );
    let active = app.get(None, "/v1/rooms/daily/meetings/active").await.ok();
    assert_eq!((&active[0]["id"], &active[0]["platform"]), (&on["id"], &json!("jitsi")), "what is on stays");

    patch(&app, Some("alice"), &path, &json!({"platform": "jitsi"})).await.ok();
    assert_eq!(app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok()["id"], on["id"]);
    patch(&app, Some("alice"), &path, &json!({"name": "x".repeat(39)})).await.ok();
    let refused = patch(&app, Some("alice"), &path, &json!({"platform": "whereby"})).await;
    let item = &refused.json["detail"][0];
    assert_eq!(
        (refused.status, &item["loc"]),
        (422, &json!(["body", "name"])),
        "Whereby's names are shorter"
    );
}

#[tokio::test]
async fn only_the_owner_changes_and_deletes_a_room() {
    let (app, path) = app_with_room().await;
    patch(&app, Some("alice"), &path, &json!({"is_shared": true})).await.ok();
    for method in [Method::PATCH, Method::DELETE] {
        let answer = send(&app, method.clone(), Some("bob"), &path, &json!({"name": "mine"})).await;
        assert_eq!(answer.refusal(), (403, "forbidden", &json!("Not authorized")));
        let answer = send(&app, method.clone(), None, &path, &json!({"name": "mine"})).await;
        assert_eq!(answer.refusal(), (401, "not_authenticated", &json!("Not authenticated")));
        let answer = send(&app, method, Some("alice"), "/v1/rooms/none", &json!({})).await;
        assert_eq!(answer.refusal(), (404, "room_not_found", &json!("Room not found")));
    }
    let meeting = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await.ok();
    let deleted = send(&app, Method::DELETE, Some("alice"), &path, &json!({})).await.ok();
    assert_eq!(deleted, json!({"status": "ok"}));
    assert_eq!(app.get(Some("alice"), &path).await.status, 404);
    let meeting = format!("/v1/meetings/{}", meeting["id"].as_str().unwrap());
    assert_eq!(app.get(Some("alice"), &meeting).await.status, 404);
}

#[tokio::test]
async fn the_meetings_that_are_on_are_found_by_room_until_the_owner_ends_them() {
    let (app, _) = app_with_room().await;
    let begun = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await.ok();
    let id = begun["id"].as_str().unwrap();
    let (active, one) = ("/v1/rooms/daily/meetings/active", format!("/v1/rooms/daily/meetings/{id}"));
    for (viewer, hosts) in [(Some("alice"), true), (Some("bob"), false), (None, false)] {
        let list = app.get(viewer, active).await.ok();
        let joined = app.post_nothing(viewer, &format!("{one}/join")).await.ok();
        for meeting in [&list[0], &app.get(viewer, &one).await.ok(), &joined] {
            assert_eq!(meeting["id"], id);
            assert!(meeting["room_url"].as_str().unwrap().contains("?jwt="));
            assert_eq!(meeting["host_room_url"] != "", hosts, "{viewer:?}");
        }
    }

    let end = format!("/v1/meetings/{id}/deactivate");
    let detail = json!("Only the room owner can deactivate meetings");
    assert_eq!(patch(&app, Some("bob"), &end, &json!({})).await.refusal(), (403, "forbidden", &detail));
    let unknown = patch(&app, None, &end, &json!({})).await;
    assert_eq!(unknown.refusal(), (401, "not_authenticated", &json!("Authentication required")));
    for _ in 0..2 {
        let ended = patch(&app, Some("alice"), &end, &json!({})).await.ok();
        assert_eq!(ended, json!({"status": "success", "meeting_id": id}));
    }
    assert_eq!(app.get(None, active).await.ok(), json!([]));
    let over = app.get(Some("alice"), &one).await.ok();
    assert_eq!((&over["is_active"], &over["room_url"]), (&json!(false), &json!("")));
    let refused = app.post_nothing(None, &format!("{one}/join")).await;
    assert_eq!(refused.refusal(), (400, "meeting_not_active", &json!("Meeting is not active")));
    let next = app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok();
    assert_ne!(next["id"], id);
}

#[tokio::test]
async fn a_meeting_is_found_only_in_its_own_room() {
    let (app, _) = app_with_room().await;
    app.post(Some("alice"), "/v1/rooms", &guide_room("other")).await.ok();
    let begun = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await.ok();
    let path = format!("/v1/rooms/other/meetings/{}", begun["id"].as_str().unwrap());
    assert_eq!(app.get(None, &path).await.refusal(), (404, "meeting_not_found", &json!("Meeting not found")));
    let answer = app.get(None, "/v1/rooms/none/meetings/active").await;
    assert_eq!(answer.refusal(), (404, "room_not_found", &json!("Room not found")));
}

#[tokio::test]
async fn a_user_s_last_answer_counts_and_anonymous_answers_stand_side_by_side() {
    let (app, _) = app_with_room().await;
    let meeting = app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok();
    let path = format!("/v1/meetings/{}/consent", meeting["id"].as_str().unwrap());
    for (user, given) in
        [(Some("bob"), json!(true)), (Some("bob"), json!("no")), (None, json!(true)), (None, json!(1))]
    {
        let answer = app.post(user, &path, &json!({"consent_given": given})).await.ok();
        assert_eq!(
            (&answer["status"], answer["consent_id"].as_str().unwrap().len()),
            (&json!("success"), 36)
        );
    }
    let stored: Vec<(Option<String>, bool)> = sqlx::query_as(
        "SELECT user_id, consent_given FROM reflector.meeting_consent ORDER BY user_id NULLS LAST, consent_timestamp",
    )
    .fetch_all(&app.db)
    .await
    .unwrap();
    assert_eq!(stored, [(Some("bob".into()), false), (None, true), (None, true)]);

    let unknown = app.post(None, "/v1/meetings/none/consent", &json!({"consent_given": true})).await;
    assert_eq!(unknown.refusal(), (404, "meeting_not_found", &json!("Meeting not found")));
    for body in [json!({}), json!({"consent_given": null}), json!({"consent_given": "maybe"})] {
        assert_eq!(app.post(None, &path, &body).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn answers_count_until_a_quarter_of_an_hour_after_the_meeting() {
    let (app, _) = app_with_room().await;
    let meeting = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await.ok();
    let path = format!("/v1/meetings/{}", meeting["id"].as_str().unwrap());
    let answer = async || app.post(None, &format!("{path}/consent"), &json!({"consent_given": false})).await;
    patch(&app, Some("alice"), &format!("{path}/deactivate"), &json!({})).await.ok();
    answer().await.ok();
    for (statement, is_taken) in [
        ("UPDATE reflector.meeting SET ended_at = now() - interval '14 minutes'", true),
        ("UPDATE reflector.meeting SET ended_at = now() - interval '16 minutes'", false),
        // It lasts for longer than it was made for.
        (
            "UPDATE reflector.meeting SET is_active = true, ended_at = NULL, ended_reason = NULL, end_date = now() - interval '1 h'",
            true,
        ),
    ] {
        sqlx::query(statement).execute(&app.db).await.unwrap();
        let answer = answer().await;
        if is_taken {
            answer.ok();
        } else {
            let detail = json!("Meeting has ended; answers count until 15 minutes after its end");
            assert_eq!(answer.refusal(), (400, "meeting_ended", &detail));
        }
    }
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM reflector.meeting_consent")
        .fetch_one(&app.db)
        .await
        .unwrap();
    assert_eq!(stored, 3);
}

#[tokio::test]
async fn a_caller_learns_who_they_are() {
    let app = App::start().await;
    let me = app.get(Some("alice"), "/v1/me").await.ok();
    assert_eq!(me, json!({"sub": "alice", "email": "alice@example.com"}));
    assert_eq!(app.get(None, "/v1/me").await.ok(), Value::Null);
}
