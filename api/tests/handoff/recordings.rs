//! A recording is handed over once it is in the storage, unless somebody did not agree to be recorded.

use std::collections::BTreeSet;

use api::db::webhook_deliveries as deliveries;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::App;
use crate::receiver::{Call, Reply};
use crate::support::wait;

/// Links to this storage are made without asking it.
async fn app() -> App {
    let app = App::with(&[
        ("WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8"),
        ("RECORDING_STORAGE_BACKEND", "aws"),
        ("RECORDING_STORAGE_AWS_BUCKET_NAME", "recordings"),
        ("RECORDING_STORAGE_AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
        ("RECORDING_STORAGE_AWS_ENDPOINT_URL", "http://storage.example.com"),
    ])
    .await;
    app.room("standup", "/room").await;
    app.meeting("m-1", "standup", 8).await;
    app
}

/// A recording that its host has announced.
async fn announce(app: &App, meeting: Option<&str>) {
    sqlx::query(
        "INSERT INTO reflector.recording (id, meeting_id, file, status, completed_at, bucket, object_key, size_bytes,
           announced_at)
         VALUES ('r-1', $1, '/recordings/a.mp4', 'completed', now(), 'recordings', 'standup/a.mp4', 4711, now())",
    )
    .bind(meeting)
    .execute(app.db())
    .await
    .unwrap();
}

/// The storage was seen to hold it.
async fn find(app: &App) {
    app.change("UPDATE reflector.recording SET found_at = now(), stored_at = now()").await;
}

/// Somebody answers whether they agree to be recorded.
async fn consent(app: &App, given: bool) {
    let now = OffsetDateTime::now_utc();
    let given = api::db::consents::give(app.db(), "c-1", "m-1", Some("bob"), given, now).await.unwrap();
    assert_eq!(given, Some(api::db::consents::Given::Stored("c-1".into())));
}

fn check(call: &Call) {
    assert_eq!(call.header("x-webhook-event"), "recording.ready");
    let recording = &call.body["recording"];
    assert_eq!((&recording["id"], &recording["bucket"]), (&"r-1".into(), &"recordings".into()));
    assert_eq!((&recording["object_key"], &recording["size_bytes"]), (&"standup/a.mp4".into(), &4711.into()));
    let url = recording["download_url"].as_str().unwrap();
    assert!(url.starts_with("http://storage.example.com/recordings/standup/a.mp4?"), "{url}");
    assert!(url.contains("X-Amz-Signature="), "{url}");
    assert!(recording["download_expires_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(call.body["meeting"]["id"], "m-1");
}

#[tokio::test]
async fn a_recording_is_told_of_once_when_it_is_in_the_storage_with_a_link_that_is_fresh_in_each_attempt() {
    let app = app().await;
    announce(&app, Some("m-1")).await;
    let sending = app.sending();
    app.receiver.reply("/room", Reply::Status(503));
    find(&app).await;
    app.receiver.receive("/room", 1).await;
    wait::until("the attempt's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_attempt").await == 1).then_some(())
    })
    .await;
    let stored = app.text("SELECT body FROM reflector.webhook_delivery").await.unwrap();
    assert!(!stored.contains("Signature"), "a link is a credential, and is kept nowhere: {stored}");
    app.change("UPDATE reflector.webhook_delivery SET next_at = now()").await;
    app.change("UPDATE reflector.webhook_target SET next_at = now()").await;
    app.settled("delivered", 1).await;
    app.receiver.calls("/room").iter().for_each(check);
    app.change("UPDATE reflector.recording SET missed_at = now()").await;
    find(&app).await;
    wait::until("the fact's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_fact").await == 0).then_some(())
    })
    .await;
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_delivery").await, 1);
    sending.stop().await;
}

#[tokio::test]
async fn a_recording_whose_meeting_becomes_known_late_is_told_of_then() {
    let app = app().await;
    announce(&app, None).await;
    find(&app).await;
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_fact").await, 0);
    app.change("UPDATE reflector.recording SET meeting_id = 'm-1'").await;
    let sending = app.sending();
    check(&app.receiver.receive("/room", 1).await[0]);
    sending.stop().await;
}

#[tokio::test]
async fn a_recording_that_somebody_did_not_agree_to_is_handed_to_nobody() {
    let app = app().await;
    announce(&app, Some("m-1")).await;
    consent(&app, false).await;
    find(&app).await;
    let sending = app.sending();
    wait::until("the fact's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_fact").await == 0).then_some(())
    })
    .await;
    sending.stop().await;
    assert!(app.receiver.calls("/room").is_empty());
}

#[tokio::test]
async fn a_denial_between_two_attempts_ends_them() {
    let app = app().await;
    announce(&app, Some("m-1")).await;
    app.receiver.reply("/room", Reply::Status(503));
    find(&app).await;
    let sending = app.sending();
    wait::until("the attempt's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_attempt").await == 1).then_some(())
    })
    .await;
    consent(&app, false).await;
    app.change("UPDATE reflector.webhook_delivery SET next_at = now()").await;
    app.change("UPDATE reflector.webhook_target SET next_at = now()").await;
    app.settled("parked", 1).await;
    sending.stop().await;
    assert_eq!(app.receiver.calls("/room").len(), 1);
    let reason = app.text("SELECT reason FROM reflector.webhook_delivery").await;
    assert_eq!(reason.as_deref(), Some("somebody in the meeting did not agree to be recorded"));

    // Until everybody agrees.
    let sending = app.sending();
    consent(&app, true).await;
    app.settled("delivered", 1).await;
    sending.stop().await;
    check(&app.receiver.calls("/room")[1]);
}

#[tokio::test]
async fn a_recording_is_told_of_when_the_last_denial_is_taken_back() {
    let app = app().await;
    announce(&app, Some("m-1")).await;
    consent(&app, false).await;
    find(&app).await;
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_fact").await, 0);
    let sending = app.sending();
    consent(&app, true).await;
    check(&app.receiver.receive("/room", 1).await[0]);
    // Whoever was told is told once.
    app.settled("delivered", 1).await;
    consent(&app, false).await;
    consent(&app, true).await;
    wait::until("the fact's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_fact").await == 0).then_some(())
    })
    .await;
    app.settled("delivered", 1).await;
    sending.stop().await;
    assert_eq!(app.receiver.calls("/room").len(), 1);
}

#[tokio::test]
async fn a_denial_that_is_taken_back_while_it_is_looked_at_is_not_lost() {
    let app = app().await;
    announce(&app, Some("m-1")).await;
    find(&app).await;
    consent(&app, false).await;
    let stale = deliveries::facts(app.db(), 10).await.unwrap().remove(0);
    consent(&app, true).await;
    let taken = deliveries::take_fact(app.db(), &stale).await.unwrap();
    assert!(taken.is_none(), "what was read of it counts no more");
    let fresh = deliveries::facts(app.db(), 10).await.unwrap().remove(0);
    assert!(deliveries::take_fact(app.db(), &fresh).await.unwrap().is_some());
}

/// The members of a body, down to the innermost.
fn members(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                members(value, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| members(value, &format!("{path}[]"), found)),
        _ => drop(found.insert(path.to_owned())),
    }
}

#[tokio::test]
async fn a_webhook_has_the_members_that_its_documentation_shows_and_no_others() {
    let documentation = include_str!("../../../docs/webhooks.md");
    let sample = documentation.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let app = app().await;
    app.event("muc-occupant-joined", "m-1", 1, &json!({"occupant_id": "a", "nick": "Ann"})).await;
    announce(&app, Some("m-1")).await;
    find(&app).await;
    let sending = app.sending();
    let call = app.receiver.receive("/room", 1).await.remove(0);
    sending.stop().await;
    let [mut shown, mut sent] = [BTreeSet::new(), BTreeSet::new()];
    members(&serde_json::from_str(sample).unwrap(), "", &mut shown);
    members(&call.body, "", &mut sent);
    assert_eq!(sent, shown);
}
