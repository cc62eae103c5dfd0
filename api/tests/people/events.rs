//! `GET /v1/meetings/{id}`: what events leave behind.

use serde_json::{Value, json};

use crate::app::App;
use crate::rooms::guide_room;

const EVENTS: &str = "/v1/jitsi/events";

/// The service with a meeting in a room of alice's; the meeting as it was answered.
async fn app_with_meeting() -> (App, Value) {
    let app = App::start().await;
    app.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    let meeting = app.post_nothing(Some("alice"), "/v1/rooms/daily/meeting").await.ok();
    (app, meeting)
}

fn path(meeting: &Value) -> String {
    format!("/v1/meetings/{}", meeting["id"].as_str().unwrap())
}

/// An event in the meeting, `second` seconds past ten.
fn event(meeting: &Value, id: &str, name: &str, second: u32, data: &Value) -> Value {
    let timestamp = format!("2025-01-15T10:00:{second:02}.000Z");
    json!({"id": id, "event": name, "room": meeting["room_name"], "timestamp": timestamp, "data": data})
}

#[tokio::test]
async fn joins_leaves_and_recordings_become_a_record() {
    let (app, meeting) = app_with_meeting().await;
    let john =
        json!({"occupant_id": "o-1", "display_name": "John Doe", "kind": "human", "role": "moderator"});
    let jibri = json!({"occupant_id": "o-2", "kind": "recorder"});
    let session = json!({"session_id": "s-1", "mode": "file", "initiator": "o-1"});
    for delivery in [
        event(&meeting, "evt_1", "muc-occupant-joined", 1, &john),
        event(&meeting, "evt_2", "muc-occupant-joined", 2, &json!({"user_id": "u-2", "display_name": "Ann"})),
        event(&meeting, "evt_3", "muc-occupant-joined", 3, &jibri),
        event(&meeting, "evt_4", "jibri-recording-on", 4, &session),
        event(&meeting, "evt_5", "muc-occupant-left", 5, &json!({"occupant_id": "o-1", "reason": "left"})),
    ] {
        app.deliver(EVENTS, &delivery).await.ok();
    }
    let notice = json!({
        "id": "rec_1", "room_name": meeting["room_name"], "recording_file": "/recordings/s-1/a.mp4",
        "recording_status": "completed", "timestamp": "2025-01-15T10:00:09.000Z", "session_id": "s-1",
        "size_bytes": 1234, "duration_ms": 5000, "host": "jibri-1",
    });
    app.deliver("/v1/jibri/recording-complete", &notice).await.ok();

    let record = app.get(Some("alice"), &path(&meeting)).await.ok();
    assert_eq!((&record["id"], &record["num_clients"]), (&meeting["id"], &json!(1)));
    let empty = json!({
        "breakout_room_id": null, "user_id": null, "display_name": null, "email": null, "role": null,
        "affiliation": null, "kind": null, "left_at": null, "left_reason": null, "present": true,
    });
    let participant = |changes: Value| {
        let mut whole = empty.clone();
        whole.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        whole
    };
    assert_eq!(
        record["participants"],
        json!([
            participant(json!({
                "occupant_id": "o-1", "display_name": "John Doe", "kind": "human", "role": "moderator",
                "joined_at": "2025-01-15T10:00:01Z", "left_at": "2025-01-15T10:00:05Z", "left_reason": "left",
                "present": false,
            })),
            participant(json!({
                "occupant_id": "u-2", "user_id": "u-2", "display_name": "Ann", "joined_at": "2025-01-15T10:00:02Z",
            })),
            participant(
                json!({"occupant_id": "o-2", "kind": "recorder", "joined_at": "2025-01-15T10:00:03Z"})
            ),
        ])
    );
    assert_eq!(
        record["recordings"],
        json!([{
            "session_id": "s-1", "mode": "file", "initiator": "o-1", "started_at": "2025-01-15T10:00:04Z",
            "ended_at": null, "failure_reason": null, "running": true,
            "files": [{
                "id": "rec_1", "file": "/recordings/s-1/a.mp4", "status": "completed",
                "completed_at": "2025-01-15T10:00:09Z", "host": "jibri-1", "size_bytes": 1234, "duration_ms": 5000,
                "sha256": null, "bucket": null, "object_key": null, "state": "on_host", "download_url": null,
                "download_expires_at": null, "started_at": null, "withheld": false,
            }],
        }])
    );
    let again = app.post_nothing(None, "/v1/rooms/daily/meeting").await.ok();
    assert_eq!((&again["id"], &again["num_clients"]), (&meeting["id"], &json!(1)));
}

#[tokio::test]
async fn events_are_listed_as_the_guide_s_query_shows_them() {
    let (app, meeting) = app_with_meeting().await;
    let data = json!({"user_id": "test-user", "display_name": "Test User"});
    app.deliver(EVENTS, &event(&meeting, "evt_1", "muc-occupant-joined", 1, &data)).await.ok();
    let record = app.get(Some("alice"), &path(&meeting)).await.ok();
    let listed = &record["events"][0];
    assert_eq!((&listed["id"], &record["events_next"]), (&json!("evt_1"), &json!(null)));
    assert_eq!(
        listed["data"],
        json!({"timestamp": "2025-01-15T10:00:01.000Z", "user_id": "test-user", "display_name": "Test User"})
    );
    let viewed: Value =
        sqlx::query_scalar("SELECT events FROM public.meeting").fetch_one(&app.db).await.unwrap();
    assert_eq!((&listed["type"], &listed["data"]), (&viewed[0]["type"], &viewed[0]["data"]));
}

#[tokio::test]
async fn what_an_earlier_boot_left_open_ended_when_the_next_began() {
    let (app, meeting) = app_with_meeting().await;
    let boot = |id: &str, boot_id: &str, second: u32| {
        let data = json!({"source": "prosody", "boot_id": boot_id, "seq": 1});
        let mut boot = event(&meeting, id, "source-started", second, &data);
        boot["room"] = json!("conference.meet.example.com");
        boot
    };
    app.deliver(EVENTS, &boot("evt_1", "boot-1", 1)).await.ok();
    let joined = json!({"occupant_id": "o-1", "boot_id": "boot-1", "seq": 2});
    app.deliver(EVENTS, &event(&meeting, "evt_2", "muc-occupant-joined", 2, &joined)).await.ok();
    let recording = json!({"session_id": "s-1", "boot_id": "boot-1", "seq": 3});
    app.deliver(EVENTS, &event(&meeting, "evt_3", "jibri-recording-on", 3, &recording)).await.ok();
    assert_eq!(app.get(Some("alice"), &path(&meeting)).await.ok()["num_clients"], 1);

    for later in [boot("evt_8", "boot-2", 20), boot("evt_9", "boot-3", 30)] {
        app.deliver(EVENTS, &later).await.ok();
    }
    let record = app.get(Some("alice"), &path(&meeting)).await.ok();
    let participant = &record["participants"][0];
    assert_eq!(record["num_clients"], 0);
    assert_eq!(
        (&participant["left_at"], &participant["left_reason"]),
        (&json!("2025-01-15T10:00:20Z"), &json!("source_restarted"))
    );
    assert_eq!(record["recordings"][0]["ended_at"], "2025-01-15T10:00:20Z");
    assert_eq!(record["recordings"][0]["running"], false);
}

/// Inserts `count` events of `bytes` bytes each, as many deliveries would have.
async fn insert_events(app: &App, meeting: &Value, count: i64, bytes: i32) {
    sqlx::query(
        "INSERT INTO reflector.meeting_event (id, meeting_id, name, occurred_at, data)
        SELECT 'evt_' || n, $1, 'poll', now(), jsonb_build_object('n', n, 'text', repeat('x', $3))
        FROM generate_series(1, $2) n",
    )
    .bind(meeting["id"].as_str().unwrap())
    .bind(count)
    .bind(bytes)
    .execute(&app.db)
    .await
    .unwrap();
}

/// The sizes of the pages that lead through all events, which must come in order and once each.
async fn page_sizes(app: &App, meeting: &Value) -> Vec<usize> {
    let (mut sizes, mut after, mut expected) = (Vec::new(), json!(0), 1);
    while !after.is_null() {
        let page = app.get(Some("alice"), &format!("{}?events_after={after}", path(meeting))).await.ok();
        let events = page["events"].as_array().unwrap();
        for event in events {
            assert_eq!(event["data"]["n"], expected);
            expected += 1;
        }
        sizes.push(events.len());
        after = page["events_next"].clone();
    }
    sizes
}

#[tokio::test]
async fn many_events_come_in_pages_of_a_thousand() {
    let (app, meeting) = app_with_meeting().await;
    insert_events(&app, &meeting, 2000, 10).await;
    assert_eq!(page_sizes(&app, &meeting).await, [1000, 1000]);
    insert_events_after(&app, &meeting).await;
    assert_eq!(page_sizes(&app, &meeting).await, [1000, 1000, 1]);
}

async fn insert_events_after(app: &App, meeting: &Value) {
    let one_more = event(meeting, "evt_last", "poll", 59, &json!({"n": 2001}));
    app.deliver(EVENTS, &one_more).await.ok();
}

#[tokio::test]
async fn large_events_come_in_shorter_pages() {
    let (app, meeting) = app_with_meeting().await;
    insert_events(&app, &meeting, 50, 200_000).await;
    assert_eq!(page_sizes(&app, &meeting).await, [21, 21, 8]);
}

#[tokio::test]
async fn a_meeting_is_for_its_room_s_owner_and_for_all_users_when_the_room_is_shared() {
    let (app, meeting) = app_with_meeting().await;
    let path = path(&meeting);
    let denied = app.get(Some("bob"), &path).await;
    assert_eq!(denied.refusal(), (403, "forbidden", &json!("Meeting access denied")));
    assert_eq!(app.get(None, &path).await.refusal(), (401, "not_authenticated", &json!("Not authenticated")));
    let unknown = app.get(Some("alice"), "/v1/meetings/none").await;
    assert_eq!(unknown.refusal(), (404, "meeting_not_found", &json!("Meeting not found")));

    sqlx::query("UPDATE reflector.room SET is_shared = true").execute(&app.db).await.unwrap();
    let shared = app.get(Some("bob"), &path).await.ok();
    assert_eq!(shared["host_room_url"], "");
    assert_ne!(app.get(Some("alice"), &path).await.ok()["host_room_url"], "");
}

#[tokio::test]
async fn a_page_that_cannot_be_is_refused() {
    let (app, meeting) = app_with_meeting().await;
    for after in ["x", "-1", "9223372036854775808"] {
        let answer = app.get(Some("alice"), &format!("{}?events_after={after}", path(&meeting))).await;
        assert_eq!(
            (answer.status, &answer.json["detail"][0]["loc"]),
            (422, &json!(["query", "events_after"])),
            "{after}"
        );
    }
}

#[tokio::test]
async fn a_meeting_that_is_over_is_read_without_a_way_in() {
    let (app, meeting) = app_with_meeting().await;
    let open = app.get(Some("alice"), &path(&meeting)).await.ok();
    assert!(open["room_url"].as_str().unwrap().contains("?jwt=") && open["host_room_url"] != "");
    for end in [
        "UPDATE reflector.meeting SET end_date = now()",
        "UPDATE reflector.meeting SET end_date = now() + interval '8 h', is_active = false",
    ] {
        sqlx::query(end).execute(&app.db).await.unwrap();
        let over = app.get(Some("alice"), &path(&meeting)).await.ok();
        let told = (&over["is_active"], &over["room_url"], &over["host_room_url"]);
        assert_eq!(told, (&json!(false), &json!(""), &json!("")), "{end}");
    }
}
