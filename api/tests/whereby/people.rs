//! Who is in a meeting, and how many, by what Whereby tells.

use http::Method;
use serde_json::{Value, json};
use testbed::whereby::{Event, Person, key_of, notice_of};
use time::OffsetDateTime;

use crate::app::{App, OWNER};

/// A meeting that Ann, José and a recorder came to, in this order.
async fn scene() -> (App, Value, Vec<Event>) {
    let app = App::start().await;
    let meeting = app.visit().await.ok();
    let room = meeting["room_name"].as_str().unwrap();
    let mut events = Vec::new();
    for (id, name, role) in [("p1", "Ann", "host"), ("p2", "José", "visitor"), ("p3", "", "recorder")] {
        events.extend(app.whereby.join(room, &Person::new(id, name, role)).unwrap());
    }
    for (number, event) in events.iter_mut().enumerate() {
        event.created_at += time::Duration::milliseconds(10 * i64::try_from(number).unwrap());
    }
    (app, meeting, events)
}

/// The meeting's record.
async fn record(app: &App, meeting: &Value) -> Value {
    let path = format!("/v1/meetings/{}", meeting["id"].as_str().unwrap());
    app.replica.ask(Method::GET, Some(OWNER), &path, None).await.ok()
}

#[tokio::test]
async fn who_came_is_in_the_record_and_recorders_are_no_people() {
    let (app, meeting, events) = scene().await;
    for event in &events {
        assert_eq!(app.tell(event).await.ok(), json!({"status": "ok"}));
    }
    assert_eq!(app.people().await, 2);
    let record = record(&app, &meeting).await;
    assert_eq!(record["num_clients"], 2);
    let participants = record["participants"].as_array().unwrap();
    let seen: Vec<_> = participants
        .iter()
        .map(|one| [&one["occupant_id"], &one["display_name"], &one["role"], &one["kind"], &one["present"]])
        .collect();
    assert_eq!(
        json!(seen),
        json!([
            ["p1", "Ann", "host", "human", true],
            ["p2", "José", "visitor", "human", true],
            ["p3", null, "recorder", "recorder", true]
        ])
    );
    assert_eq!(record["recordings"][0]["running"], true);
    let stored: Vec<_> = record["events"].as_array().unwrap().iter().map(|event| &event["type"]).collect();
    assert_eq!(
        json!(stored),
        json!(["room.client.joined", "room.client.joined", "room.session.started", "room.client.joined"])
    );
}

#[tokio::test]
async fn events_count_once_and_in_the_order_of_their_dates() {
    let (app, meeting, mut events) = scene().await;
    let room = meeting["room_name"].as_str().unwrap();
    let mut left = app.whereby.leave(room, "p2").unwrap();
    for event in &mut left {
        event.created_at += time::Duration::seconds(1);
    }
    events.extend(left);
    for event in events.iter().rev() {
        app.tell(event).await.ok();
        app.tell(event).await.ok();
    }
    assert_eq!(app.people().await, 1, "Ann and a recorder");
    assert_eq!(
        app.count("SELECT count(*) FROM reflector.meeting_event").await,
        i64::try_from(events.len()).unwrap()
    );
    let record = record(&app, &meeting).await;
    let present: Vec<_> =
        record["participants"].as_array().unwrap().iter().map(|one| &one["present"]).collect();
    assert_eq!(json!(present), json!([true, false, true]));
}

#[tokio::test]
async fn a_lost_webhook_is_made_good_by_the_next_one() {
    let (app, meeting, events) = scene().await;
    for event in &events {
        app.tell(event).await.ok();
    }
    let room = meeting["room_name"].as_str().unwrap();
    app.whereby.leave(room, "p1").unwrap();
    let left = &mut app.whereby.leave(room, "p3").unwrap()[0];
    left.created_at += time::Duration::seconds(1);
    app.tell(left).await.ok();
    assert_eq!(app.people().await, 1, "José, although nothing was heard of Ann's leave");
}

#[tokio::test]
async fn a_finished_recording_finds_its_meeting_by_the_file_s_name() {
    let (app, meeting, _) = scene().await;
    let room = meeting["room_name"].as_str().unwrap();
    let now = OffsetDateTime::now_utc();
    let key = key_of(room, now, "mp4");
    let mut notice = notice_of(room, &key, now);
    notice.data.as_object_mut().unwrap().remove("roomName");
    app.tell(&notice).await.ok();
    let record = record(&app, &meeting).await;
    assert_eq!(record["events"][0]["type"], "recording.finished");
    assert_eq!(record["recordings"][0]["files"][0]["file"], key.as_str());
}
