//! Several replicas over one Postgres: what happens once however many are asked.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::rooms::guide_room;

const MEETING: &str = "/v1/rooms/daily/meeting";

/// Three replicas, with a room of alice's.
async fn replicas() -> [App; 3] {
    let one = App::start().await;
    one.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    let (two, three) = (one.replica(), one.replica());
    [one, two, three]
}

/// The different meetings that visitors of all replicas at once came to.
async fn visit(replicas: &[App], visitors: usize, body: &Value) -> BTreeSet<String> {
    let visits = (0..visitors).map(|visitor| replicas[visitor % replicas.len()].post(None, MEETING, body));
    let ids = join_all(visits).await.into_iter().map(|answer| answer.ok()["id"].to_string());
    ids.collect()
}

async fn run(app: &App, sql: &'static str) {
    sqlx::query(sql).execute(&app.db).await.unwrap();
}

#[tokio::test]
async fn visitors_of_different_replicas_come_to_one_meeting() {
    let replicas = replicas().await;
    let first = visit(&replicas, 60, &json!({})).await;
    assert_eq!(first.len(), 1);
    // The meeting's time has run out, and nobody has noted that it is over.
    run(&replicas[0], "UPDATE reflector.meeting SET end_date = now()").await;
    let second = visit(&replicas, 60, &json!({})).await;
    assert_eq!(second.len(), 1);
    assert!(second.is_disjoint(&first), "{second:?}");
}

#[tokio::test]
async fn whoever_wants_a_meeting_of_their_own_gets_one_on_every_replica() {
    let replicas = replicas().await;
    let running = visit(&replicas, 3, &json!({})).await;
    let own = visit(&replicas, 12, &json!({"allow_duplicated": true})).await;
    assert_eq!(own.len(), 12);
    assert!(own.is_disjoint(&running));
    let joined = visit(&replicas, 12, &json!({})).await;
    assert_eq!(joined.len(), 1, "and the others meet in the newest");
    assert!(own.is_superset(&joined), "{joined:?}");
}

#[tokio::test]
async fn a_name_is_taken_once_on_all_replicas() {
    let replicas = replicas().await;
    let room = guide_room("weekly");
    let tries = (0..12).map(|n| replicas[n % 3].post(Some("alice"), "/v1/rooms", &room));
    let mut statuses: Vec<_> = join_all(tries).await.iter().map(|answer: &Answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (200, &[400; 11][..]));
}

#[tokio::test]
async fn changes_of_one_room_on_different_replicas_do_not_undo_each_other() {
    let replicas = replicas().await;
    let id = replicas[0].get(Some("alice"), "/v1/rooms/name/daily").await.ok()["id"].clone();
    let path = format!("/v1/rooms/{}", id.as_str().unwrap());
    let changes =
        [json!({"is_shared": true}), json!({"zulip_topic": "daily"}), json!({"skip_consent": true})];
    let sent = replicas
        .iter()
        .zip(&changes)
        .map(|(app, change)| crate::changes::patch(app, Some("alice"), &path, change));
    for answer in join_all(sent).await {
        answer.ok();
    }
    let room = replicas[0].get(Some("alice"), &path).await.ok();
    assert_eq!(
        (&room["is_shared"], &room["zulip_topic"], &room["skip_consent"]),
        (&json!(true), &json!("daily"), &json!(true))
    );
}

#[tokio::test]
async fn answers_of_one_user_at_once_are_one_answer() {
    let replicas = replicas().await;
    let id = replicas[0].post(None, MEETING, &json!({})).await.ok()["id"].clone();
    let path = format!("/v1/meetings/{}/consent", id.as_str().unwrap());
    let (path, body) = (path.as_str(), json!({"consent_given": false}));
    let answers = (0..12).map(|n| replicas[n % 3].post(Some("bob"), path, &body));
    let ids: BTreeSet<_> =
        join_all(answers).await.into_iter().map(|answer| answer.ok()["consent_id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}
