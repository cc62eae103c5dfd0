//! `POST /v1/rooms/{name}/meeting`.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Metadata};

use crate::app::{App, JITSI_SECRET};
use crate::rooms::guide_room;

/// The service with one room of alice's.
async fn app_with_room(name: &str) -> (App, Value) {
    let app = App::start().await;
    let room = app.post(Some("alice"), "/v1/rooms", &guide_room(name)).await.ok();
    (app, room)
}

/// The claims of the token in a join address, whose signature must verify.
fn claims(url: &Value) -> Value {
    let (_, token) = url.as_str().unwrap().split_once("?jwt=").unwrap();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_audience(&["jitsi"]);
    validation.set_issuer(&["reflector"]);
    let key = DecodingKey::from_secret(JITSI_SECRET.as_bytes());
    jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn the_owner_gets_a_moderator_s_address_and_others_do_not() {
    let (app, room) = app_with_room("my-jitsi-room").await;
    let meeting = app.post_nothing(Some("alice"), "/v1/rooms/my-jitsi-room/meeting").await.ok();
    let room_name = meeting["room_name"].as_str().unwrap();
    assert!(room_name.starts_with("reflector-my-jitsi-room-"), "{room_name}");
    let address = format!("https://meet.example.com/{room_name}?jwt=");
    assert!(meeting["room_url"].as_str().unwrap().starts_with(&address));
    assert!(meeting["host_room_url"].as_str().unwrap().starts_with(&address));

    let claims = claims(&meeting["host_room_url"]);
    assert_eq!((&claims["room"], &claims["sub"]), (&json!(room_name), &json!("meet.example.com")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 8 * 3600);
    assert_eq!(
        claims["context"]["user"],
        json!({"id": "alice", "name": "", "email": "alice@example.com", "moderator": "true", "affiliation": "owner"})
    );
    assert_eq!(
        claims["context"]["room"],
        json!({
            "id": room["id"], "meeting_id": meeting["id"], "recording_type": "cloud",
            "recording_trigger": "automatic-2nd-participant",
        })
    );
    let participant = self::claims(&meeting["room_url"]);
    assert_eq!(participant["context"]["user"]["moderator"], "false");

    for visitor in [Some("bob"), None] {
        let theirs = app.post_nothing(visitor, "/v1/rooms/my-jitsi-room/meeting").await.ok();
        assert_eq!((&theirs["id"], &theirs["host_room_url"]), (&meeting["id"], &json!("")));
        let user = &self::claims(&theirs["room_url"])["context"]["user"];
        assert_eq!((&user["id"], &user["moderator"]), (&json!(visitor.unwrap_or_default()), &json!("false")));
    }
}

#[tokio::test]
async fn the_owner_of_a_room_with_a_prompt_is_asked_to_record_and_visitors_are_not() {
    let app = App::start().await;
    let mut room = guide_room("asking");
    room["recording_trigger"] = json!("prompt");
    app.post(Some("alice"), "/v1/rooms", &room).await.ok();
    let meeting = app.post_nothing(Some("alice"), "/v1/rooms/asking/meeting").await.ok();
    let (host, visitor) = (meeting["host_room_url"].as_str().unwrap(), meeting["room_url"].as_str().unwrap());
    let (address, settings) = host.split_once('#').unwrap();
    assert_eq!(settings, "config.recordings.suggestRecording=true");
    assert!(!visitor.contains('#'), "{visitor}");
    for url in [address, visitor] {
        let claims = claims(&json!(url));
        assert_eq!(claims["context"]["room"]["recording_trigger"], "prompt");
    }
}

#[tokio::test]
async fn the_answer_has_every_member_of_the_schema() {
    let (app, room) = app_with_room("daily").await;
    let mut meeting = app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok();
    for volatile in ["id", "room_name", "room_url", "start_date", "end_date"] {
        assert!(meeting[volatile].take().is_string(), "{volatile}");
    }
    assert_eq!(
        meeting,
        json!({
            "id": null, "room_name": null, "room_url": null, "start_date": null, "end_date": null, "host_room_url": "",
            "user_id": null, "room_id": room["id"], "is_locked": false, "room_mode": "normal", "recording_type": "cloud",
            "recording_trigger": "automatic-2nd-participant", "num_clients": 0, "is_active": true, "platform": "jitsi",
            "calendar_event_id": null, "calendar_metadata": null, "daily_composed_video_s3_key": null,
            "daily_composed_video_duration": null,
        })
    );
}

#[tokio::test]
async fn a_hundred_visitors_at_once_come_to_one_meeting() {
    let (app, _) = app_with_room("stampede").await;
    let visits = (0..100).map(|_| app.post_nothing(None, "/v1/rooms/stampede/meeting"));
    let ids: HashSet<_> =
        join_all(visits).await.into_iter().map(|answer| answer.ok()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1);
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM reflector.meeting").fetch_one(&app.db).await.unwrap();
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn tokens_are_stored_nowhere() {
    let (app, _) = app_with_room("discreet").await;
    let answer = app.post_nothing(Some("alice"), "/v1/rooms/discreet/meeting").await;
    assert_eq!(answer.headers.get(CACHE_CONTROL).unwrap(), "no-store");
    let meeting = answer.ok();
    let row: String = sqlx::query_scalar("SELECT to_json(m)::text FROM reflector.meeting m")
        .fetch_one(&app.db)
        .await
        .unwrap();
    assert!(row.contains(meeting["room_name"].as_str().unwrap()));
    assert!(!row.contains("jwt") && !row.contains("eyJ"), "{row}");
}

#[tokio::test]
async fn a_new_meeting_begins_when_the_old_one_is_over_has_other_settings_or_on_demand() {
    let (app, _) = app_with_room("changing").await;
    let visit =
        async |body: Value| app.post(None, "/v1/rooms/changing/meeting", &body).await.ok()["id"].clone();
    let run = async |sql: &'static str| {
        sqlx::query(sql).execute(&app.db).await.unwrap();
    };
    let first = visit(json!({})).await;
    assert_eq!(visit(json!({"allow_duplicated": false})).await, first);
    let second = visit(json!({"allow_duplicated": true})).await;
    assert_ne!(second, first);
    assert_eq!(visit(json!({})).await, second, "the newest is the one to join");

    run("UPDATE reflector.room SET recording_type = 'none'").await;
    let third = visit(json!({})).await;
    assert!(![&first, &second].contains(&&third));
    run("UPDATE reflector.meeting SET end_date = now()").await;
    let fourth = visit(json!({})).await;
    assert!(![&first, &second, &third].contains(&&fourth));
    run("UPDATE reflector.meeting SET is_active = false").await;
    assert_ne!(visit(json!({})).await, fourth);
}

#[tokio::test]
async fn what_cannot_become_a_meeting_has_a_defined_answer() {
    let (app, _) = app_with_room("daily").await;
    let unknown = app.post_nothing(Some("alice"), "/v1/rooms/none/meeting").await;
    assert_eq!(unknown.refusal(), (404, "room_not_found", &json!("Room not found")));
    let wrong = app.post(None, "/v1/rooms/daily/meeting", &json!({"allow_duplicated": "perhaps"})).await;
    assert_eq!((wrong.status, &wrong.json["detail"][0]["loc"]), (422, &json!(["body", "allow_duplicated"])));
    let form =
        Request::post("/v1/rooms/daily/meeting").header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let form = app.send(form.body(Body::from("allow_duplicated=true")).unwrap()).await;
    assert_eq!((form.status, &form.json["code"]), (415, &json!("media_type_unsupported")));
}

#[tokio::test]
async fn a_platform_that_is_not_configured_is_named_with_its_variables() {
    let app = App::with(&[("JITSI_DOMAIN", ""), ("JITSI_JWT_SECRET", "")]).await;
    app.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    let answer = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await;
    let detail =
        "Jitsi is not configured on this server; its operator must set JITSI_DOMAIN and JITSI_JWT_SECRET.";
    assert_eq!(answer.refusal(), (503, "platform_not_configured", &json!(detail)));
}

/// Counts the statements that this thread sends to the database.
#[derive(Clone, Default)]
struct Statements(Arc<AtomicUsize>);

impl tracing::Subscriber for Statements {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, _: &tracing::Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn a_list_of_many_meetings_asks_the_database_as_often_as_one_of_few_and_counts_each_one_s_people() {
    let (app, _) = app_with_room("daily").await;
    let statements = Statements::default();
    // With a single one, another test's thread, which has none, may be the one to say that nobody counts.
    let counters = [(); 2].map(|()| Dispatch::new(statements.clone()));
    let mut asked = Vec::new();
    for more in [2, 20] {
        for _ in 0..more {
            let path = "/v1/rooms/daily/meeting";
            let meeting = app.post(None, path, &json!({"allow_duplicated": true})).await.ok();
            let joined = json!({
                "event": "muc-occupant-joined", "room": meeting["room_name"], "timestamp": 1,
                "data": {"occupant_id": "o", "boot_id": meeting["id"]},
            });
            app.deliver("/v1/jitsi/events", &joined).await.ok();
        }
        let before = statements.0.load(Ordering::Relaxed);
        let counting = tracing::dispatcher::set_default(&counters[0]);
        let active = app.get(None, "/v1/rooms/daily/meetings/active").await.ok();
        drop(counting);
        asked.push(statements.0.load(Ordering::Relaxed) - before);
        assert!(active.as_array().unwrap().iter().all(|meeting| meeting["num_clients"] == 1), "{active}");
    }
    assert!(asked[0] > 3 && asked[0] == asked[1], "{asked:?}");
}
