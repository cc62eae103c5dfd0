//! `/v1/rooms`.

use serde_json::{Value, json};

use crate::app::App;

/// The body of the guide's command.
pub(crate) fn guide_room(name: &str) -> Value {
    json!({
        "name": name, "platform": "jitsi", "recording_type": "cloud",
        "recording_trigger": "automatic-2nd-participant", "is_locked": false, "room_mode": "normal",
    })
}

fn with(mut body: Value, changes: &Value) -> Value {
    body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    body
}

#[tokio::test]
async fn the_guide_s_command_makes_a_room_with_every_member_of_the_schema() {
    let app = App::start().await;
    let mut room = app.post(Some("alice"), "/v1/rooms", &guide_room("my-jitsi-room")).await.ok();
    let (id, created_at) = (room["id"].take(), room["created_at"].take());
    assert_eq!(id.as_str().unwrap().len(), 36);
    assert!(created_at.as_str().unwrap().ends_with('Z'), "{created_at}");
    assert_eq!(
        room,
        json!({
            "id": null, "created_at": null, "name": "my-jitsi-room", "user_id": "alice", "platform": "jitsi",
            "recording_type": "cloud", "recording_trigger": "automatic-2nd-participant", "is_locked": false,
            "room_mode": "normal", "is_shared": false, "zulip_auto_post": false, "zulip_stream": "", "zulip_topic": "",
            "ics_url": null, "ics_fetch_interval": 300, "ics_enabled": false, "ics_last_sync": null,
            "ics_last_etag": null, "skip_consent": false,
        })
    );
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let app = App::start().await;
    app.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    let answer = app.post(Some("bob"), "/v1/rooms", &guide_room("daily")).await;
    assert_eq!(answer.refusal(), (400, "room_name_taken", &json!("Room name is not unique")));
}

#[tokio::test]
async fn a_room_that_breaks_rules_is_refused_with_all_of_them() {
    let app = App::start().await;
    let body = with(guide_room("My Room"), &json!({"room_mode": "huge", "is_locked": "perhaps"}));
    let answer = app.post(Some("alice"), "/v1/rooms", &body).await;
    assert_eq!((answer.status, &answer.json["code"]), (422, &json!("validation_failed")));
    let places: Vec<_> =
        answer.json["detail"].as_array().unwrap().iter().map(|item| &item["loc"][1]).collect();
    assert_eq!(places, ["is_locked", "room_mode", "name"]);
    assert_eq!(app.get(Some("alice"), "/v1/rooms").await.ok()["total"], 0);
}

#[tokio::test]
async fn a_body_that_cannot_be_read_has_a_defined_answer() {
    let app = App::start().await;
    let missing = app.post_nothing(Some("alice"), "/v1/rooms").await;
    assert_eq!(
        missing.refusal(),
        (
            422,
            "validation_failed",
            &json!([{"type": "missing", "loc": ["body"], "msg": "Field required", "input": null}])
        )
    );
    let list = app.post(Some("alice"), "/v1/rooms", &json!([])).await;
    assert_eq!((list.status, &list.json["detail"][0]["type"]), (422, &json!("model_attributes_type")));
    let large = app.post(Some("alice"), "/v1/rooms", &json!("x".repeat(70_000))).await;
    assert_eq!((large.status, &large.json["code"]), (413, &json!("body_too_large")));
}

#[tokio::test]
async fn the_owner_alone_sees_the_webhook() {
    let app = App::start().await;
    let body =
        with(guide_room("hooked"), &json!({"webhook_url": "https://example.com/hook", "is_shared": true}));
    let room = app.post(Some("alice"), "/v1/rooms", &body).await.ok();
    assert_eq!(room.get("webhook_secret"), None);
    let by_id = format!("/v1/rooms/{}", room["id"].as_str().unwrap());
    for path in [by_id.as_str(), "/v1/rooms/name/hooked", "/v1/rooms/name/Hooked"] {
        let mine = app.get(Some("alice"), path).await.ok();
        assert_eq!(mine["webhook_url"], "https://example.com/hook", "{path}");
        assert_eq!(mine["webhook_secret"].as_str().unwrap().len(), 43, "{path}");
        for viewer in [Some("bob"), None] {
            let theirs = app.get(viewer, path).await.ok();
            assert_eq!(
                (&theirs["webhook_url"], &theirs["webhook_secret"]),
                (&json!(null), &json!(null)),
                "{path}"
            );
        }
    }
    let listed = app.get(Some("bob"), "/v1/rooms").await.ok();
    assert_eq!(listed["items"][0]["webhook_secret"], json!(null));
}

#[tokio::test]
async fn a_room_of_one_s_own_is_closed_to_others_by_id_and_open_by_name() {
    let app = App::start().await;
    let room = app.post(Some("alice"), "/v1/rooms", &guide_room("private")).await.ok();
    let by_id = format!("/v1/rooms/{}", room["id"].as_str().unwrap());
    for viewer in [Some("bob"), None] {
        let answer = app.get(viewer, &by_id).await;
        assert_eq!(answer.refusal(), (403, "forbidden", &json!("Room access denied")));
        assert_eq!(app.get(viewer, "/v1/rooms/name/private").await.ok()["name"], "private");
    }
}

#[tokio::test]
async fn a_room_that_is_not_there_is_not_found_however_it_is_spelled() {
    let app = App::start().await;
    for path in ["/v1/rooms/none", "/v1/rooms/name/none", "/v1/rooms/name/%C3%A9t%C3%A9"] {
        let answer = app.get(Some("alice"), path).await;
        assert_eq!(answer.refusal(), (404, "room_not_found", &json!("Room not found")), "{path}");
    }
    for path in ["/v1/rooms/%00", "/v1/rooms/name/a%00", "/v1/rooms/%ff"] {
        let answer = app.get(Some("alice"), path).await;
        assert_eq!(answer.refusal(), (404, "not_found", &json!("Not Found")), "{path}");
    }
}

#[tokio::test]
async fn the_list_holds_own_and_shared_rooms_newest_first_in_pages() {
    let app = App::start().await;
    for (owner, name, shared) in
        [("alice", "a1", false), ("bob", "b1", true), ("bob", "b2", false), ("alice", "a2", false)]
    {
        let body = with(guide_room(name), &json!({"is_shared": shared}));
        app.post(Some(owner), "/v1/rooms", &body).await.ok();
    }
    let page = |query: &'static str| {
        let app = &app;
        async move {
            let page = app.get(Some("alice"), &format!("/v1/rooms{query}")).await.ok();
            let names: Vec<_> =
                page["items"].as_array().unwrap().iter().map(|room| room["name"].clone()).collect();
            (json!(names), json!([page["total"], page["page"], page["size"], page["pages"]]))
        }
    };
    assert_eq!(page("").await, (json!(["a2", "b1", "a1"]), json!([3, 1, 50, 1])));
    assert_eq!(page("?page=2&size=2").await, (json!(["a1"]), json!([3, 2, 2, 2])));
    assert_eq!(page("?page=9&size=2").await, (json!([]), json!([3, 9, 2, 2])));
    let refused = app.get(Some("alice"), "/v1/rooms?size=0&page=x").await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.json["detail"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn somebody_unknown_sees_shared_rooms_in_public_mode_only() {
    let closed = App::start().await;
    let answer = closed.get(None, "/v1/rooms?size=0").await;
    assert_eq!(answer.refusal(), (401, "not_authenticated", &json!("Not authenticated")));

    let public = App::with(&[("PUBLIC_MODE", "true")]).await;
    public.post(Some("alice"), "/v1/rooms", &guide_room("private")).await.ok();
    let shared = with(guide_room("shared"), &json!({"is_shared": true}));
    public.post(Some("alice"), "/v1/rooms", &shared).await.ok();
    let page = public.get(None, "/v1/rooms").await.ok();
    assert_eq!((&page["total"], &page["items"][0]["name"]), (&json!(1), &json!("shared")));
}
