//! A visitor is led into the room's meeting, which is made once.

use std::time::Duration;

use http::Method;
use serde_json::json;
use testbed::whereby::{Fault, Whereby};

use crate::app::{App, OWNER, ROOM};
use crate::support::wait;

const CREATE: &str = "POST /v1/meetings";

const BUCKET: &[(&str, &str)] = &[
    ("RECORDING_STORAGE_AWS_BUCKET_NAME", "recordings"),
    ("AWS_WHEREBY_ACCESS_KEY_ID", "AK1"),
    ("AWS_WHEREBY_ACCESS_KEY_SECRET", "0a1b2c3d4e5f"),
];

#[tokio::test]
async fn a_meeting_is_a_room_at_whereby_and_the_next_visitor_comes_to_the_same() {
    let app = App::with(Whereby::start().unwrap(), BUCKET).await;
    let path = format!("/v1/rooms/{ROOM}/meeting");
    let host = app.replica.ask(Method::POST, Some(OWNER), &path, Some(&json!({}))).await.ok();
    let [room] = &app.whereby.rooms()[..] else { panic!("there is not one room") };
    assert_eq!(host["id"], room.meeting_id.as_str());
    assert_eq!(format!("/{}", host["room_name"].as_str().unwrap()), room.name);
    assert_eq!(host["room_url"], room.url());
    assert_eq!(host["host_room_url"], room.host_url());
    assert_eq!((&host["platform"], &host["num_clients"]), (&json!("whereby"), &json!(0)));
    let destination = &room.asked["recording"]["destination"];
    assert_eq!(
        (&destination["bucket"], &destination["accessKeySecret"]),
        (&json!("recordings"), &json!("0a1b2c3d4e5f"))
    );
    assert_eq!(room.asked["roomNamePrefix"], "standup-");

    let visitor = app.visit().await.ok();
    assert_eq!((&visitor["id"], &visitor["host_room_url"]), (&host["id"], &json!("")));
    assert_eq!(app.calls(CREATE), 1);
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_intent").await, 0);
}

#[tokio::test]
async fn a_room_that_is_not_to_be_recorded_says_so() {
    let app = App::start().await;
    app.make_room("quiet", &json!({"recording_type": "none"})).await;
    app.replica.ask(Method::POST, None, "/v1/rooms/quiet/meeting", None).await.ok();
    let expected = json!({"type": "none", "destination": null, "startTrigger": "none"});
    assert_eq!(app.whereby.rooms()[0].asked["recording"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_visitors_come_to_whatever_replica_one_room_is_made() {
    let app = App::start().await;
    let replicas = [app.replica.clone(), app.another(), app.another()];
    app.whereby.fail(CREATE, Fault::Slow(Duration::from_millis(300)));
    let visits: Vec<_> = (0..24)
        .map(|number| {
            let replica = replicas[number % replicas.len()].clone();
            tokio::spawn(async move { replica.visit().await.ok()["id"].clone() })
        })
        .collect();
    for visit in visits {
        assert_eq!(visit.await.unwrap(), app.rooms()[0].as_str());
    }
    assert_eq!(app.calls(CREATE), 1);
}

#[tokio::test]
async fn a_room_with_other_settings_gets_another_meeting_and_so_does_who_asks_for_one() {
    let app = App::start().await;
    let first = app.visit().await.ok();
    let path = format!("/v1/rooms/{}", first["room_id"].as_str().unwrap());
    app.replica.ask(Method::PATCH, Some(OWNER), &path, Some(&json!({"is_locked": true}))).await.ok();
    let second = app.visit().await.ok();
    assert_ne!(second["id"], first["id"]);
    assert_eq!(app.whereby.rooms()[1].asked["isLocked"], true);
    let path = format!("/v1/rooms/{ROOM}/meeting");
    let asked = Some(&json!({"allow_duplicated": true}));
    let third = app.replica.ask(Method::POST, None, &path, asked).await.ok();
    assert!(third["id"] != first["id"] && third["id"] != second["id"]);
    assert_eq!(app.rooms().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_who_goes_away_leaves_a_meeting_for_the_next_one() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::Slow(Duration::from_millis(200)));
    let replica = app.replica.clone();
    let visit = tokio::spawn(async move { replica.visit().await });
    wait::until("the room", async || (app.rooms().len() == 1).then_some(())).await;
    visit.abort();
    assert_eq!(app.visit().await.ok()["id"], app.rooms()[0].as_str());
    assert_eq!(app.calls(CREATE), 1);
}

#[tokio::test]
async fn who_waits_too_long_for_somebody_else_s_meeting_is_told_to_come_again() {
    let app = App::start().await;
    app.change(
        "INSERT INTO reflector.whereby_intent (id, room_id, is_exclusive, prefix, end_date, leased_until)
         SELECT 'other', id, true, 'standup-', now(), now() + interval '1 minute' FROM reflector.room",
    )
    .await;
    let answer = app.visit().await;
    assert_eq!(answer.refusal(), (503, "unavailable"));
    assert_eq!(answer.json["detail"], "Meeting creation in progress, please try again");
    assert_eq!((answer.retry_after(), app.calls(CREATE)), (Some(1), 0));
}

#[tokio::test]
async fn a_room_gets_its_logo_and_does_without_when_whereby_refuses_it() {
    let directory = tempfile::tempdir().unwrap();
    let logo = directory.path().join("logo.png");
    std::fs::write(&logo, b"\x89PNG\r\n\x1a\nrest").unwrap();
    let variables = [("WHEREBY_LOGO_FILE", logo.to_str().unwrap())];
    let app = App::with(Whereby::start().unwrap(), &variables).await;
    app.whereby.fail("PUT", Fault::Status(500));
    app.visit().await.ok();
    wait::until("the first logo", async || (app.calls("PUT") == 1).then_some(())).await;
    assert!(!app.whereby.rooms()[0].has_logo);
    app.make_room("second", &json!({})).await;
    app.replica.ask(Method::POST, None, "/v1/rooms/second/meeting", None).await.ok();
    wait::until("the second logo", async || app.whereby.rooms()[1].has_logo.then_some(())).await;
}

#[tokio::test]
async fn without_a_key_there_are_no_meetings_and_the_answer_says_what_to_set() {
    let app = App::with(Whereby::start().unwrap(), &[("WHEREBY_API_KEY", "")]).await;
    let answer = app.visit().await;
    assert_eq!(answer.refusal(), (503, "platform_not_configured"));
    assert!(answer.json["detail"].as_str().unwrap().contains("WHEREBY_API_KEY"), "{:#}", answer.json);
}
