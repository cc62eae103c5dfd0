//! Somebody in a meeting does not agree to be recorded.

use api::recordings::clean_up::{CleanedUp, clean_up};
use serde_json::json;
use time::OffsetDateTime;

use crate::scene::{ROOM, Scene, file};
use crate::support::wait;

const DENY: &str =
    "INSERT INTO reflector.meeting_consent (id, meeting_id, user_id, consent_given, consent_timestamp)
    VALUES ('c1', 'm', 'somebody', false, now()), ('c2', 'm', 'owner', true, now())";

async fn clean(scene: &Scene) -> CleanedUp {
    let storage = scene.state.uploads.as_ref().unwrap().storage();
    clean_up(&scene.db, Some(storage), OffsetDateTime::now_utc()).await.unwrap()
}

/// A recording of the meeting, in the bucket and known to be there; its download path.
async fn stored(scene: &Scene) -> String {
    scene.place.put(&file(ROOM, 2), b"a recording").unwrap();
    let consumer = scene.listen();
    let rows = scene.until_states(&["stored"]).await;
    scene.until_read().await;
    consumer.stop().await;
    format!("/v1/recordings/{}/download", rows[0].id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_given_to_those_who_may_look_at_its_meeting_and_to_nobody_else() {
    let scene = Scene::new().await;
    let path = stored(&scene).await;
    let (status, body) = scene.get(&path, "owner").await;
    assert_eq!(status, 200, "{body}");
    let mut fetched = reqwest::get(body["url"].as_str().unwrap()).await.unwrap();
    assert_eq!(fetched.chunk().await.unwrap().unwrap(), "a recording");
    assert!(body["expires_at"].is_string());
    let (status, body) = scene.get("/v1/meetings/m/recordings", "owner").await;
    assert_eq!((status, &body[0]["state"], &body[0]["withheld"]), (200, &json!("stored"), &json!(false)));
    assert_eq!(body[0]["started_at"], "2026-03-01T10:02:20Z");
    for path in [path.as_str(), "/v1/meetings/m/recordings"] {
        assert_eq!(scene.get(path, "stranger").await.0, 403, "{path}");
    }
    for (path, code) in [
        ("/v1/recordings/none/download", "recording_not_found"),
        ("/v1/meetings/none/recordings", "meeting_not_found"),
    ] {
        let (status, body) = scene.get(path, "owner").await;
        assert_eq!((status, &body["code"]), (404, &json!(code)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_withholds_the_recording_at_once_and_removes_it_once_the_meeting_is_over() {
    let scene = Scene::new().await;
    let path = stored(&scene).await;
    scene.execute(DENY).await;
    let (status, body) = scene.get(&path, "owner").await;
    assert_eq!((status, &body["code"]), (410, &json!("recording_withheld")));
    let (_, body) = scene.get("/v1/meetings/m/recordings", "owner").await;
    assert_eq!((&body[0]["withheld"], &body[0]["download_url"]), (&json!(true), &json!(null)));

    // While the meeting is on, people may change their minds.
    assert_eq!(clean(&scene).await, CleanedUp::default());
    scene.execute("UPDATE reflector.meeting_consent SET consent_given = true WHERE id = 'c1'").await;
    assert_eq!(scene.get(&path, "owner").await.0, 200);
    scene.execute("UPDATE reflector.meeting_consent SET consent_given = false WHERE id = 'c1'").await;

    scene.execute("UPDATE reflector.meeting SET end_date = now() - interval '1 s'").await;
    assert_eq!(clean(&scene).await, CleanedUp { denied: 1, ..CleanedUp::default() });
    assert_eq!(scene.place.head(&file(ROOM, 2)), None, "the object is gone");
    scene.until_states(&["deleted"]).await;
    let (status, body) = scene.get(&path, "owner").await;
    assert_eq!((status, &body["code"]), (410, &json!("recording_deleted")));
    assert_eq!(clean(&scene).await, CleanedUp::default());
}

/// Somebody denies, and the room is deleted. A meeting that comes to have the same name is another one.
async fn deny_and_delete(scene: &Scene) {
    scene.execute(DENY).await;
    scene.execute("DELETE FROM reflector.room").await;
    scene.meeting("m2", ROOM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_outlives_its_meeting() {
    let scene = Scene::new().await;
    stored(&scene).await;
    deny_and_delete(&scene).await;
    assert_eq!(scene.rows().await[0].meeting_id, None);
    assert_eq!(clean(&scene).await, CleanedUp { denied: 1, ..CleanedUp::default() });
    let rows = scene.until_states(&["deleted"]).await;
    assert_eq!(rows[0].meeting_id, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_reaches_a_recording_that_turns_up_after_its_meeting_was_deleted() {
    let scene = Scene::new().await;
    deny_and_delete(&scene).await;
    stored(&scene).await;
    assert_eq!(scene.rows().await[0].meeting_id, None);
    assert_eq!(clean(&scene).await, CleanedUp { denied: 1, ..CleanedUp::default() });
    assert_eq!(scene.place.head(&file(ROOM, 2)), None, "the object is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_reaches_a_recording_that_waited_for_its_meeting() {
    let scene = Scene::new().await;
    scene.execute("UPDATE reflector.meeting SET room_name = 'not-yet'").await;
    stored(&scene).await;
    scene.execute(
        "UPDATE reflector.meeting SET room_name = (SELECT room_name FROM reflector.recording), end_date = now() - interval '1 s'",
    ).await;
    scene.execute(DENY).await;
    assert_eq!(clean(&scene).await, CleanedUp { adopted: 1, denied: 1, ..CleanedUp::default() });

    // One whose meeting came and went before anybody gave it its recordings is no different.
    let scene = Scene::new().await;
    scene.execute("UPDATE reflector.meeting SET room_name = 'not-yet'").await;
    stored(&scene).await;
    scene
        .execute("UPDATE reflector.meeting SET room_name = (SELECT room_name FROM reflector.recording)")
        .await;
    scene.execute(DENY).await;
    scene.execute("DELETE FROM reflector.room").await;
    assert_eq!(clean(&scene).await, CleanedUp { denied: 1, ..CleanedUp::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_and_a_recording_that_come_at_the_same_time_do_not_miss_each_other() {
    const RECORDING: &str = "INSERT INTO reflector.recording (id, meeting_id, file, status, completed_at)
        VALUES ('r', 'm', 'f', 's', now())";
    let scene = Scene::new().await;
    for [first, second] in [[DENY, RECORDING], [RECORDING, DENY]] {
        let mut earlier = scene.db.begin().await.unwrap();
        sqlx::query(first).execute(&mut *earlier).await.unwrap();
        let db = scene.db.clone();
        let later = tokio::spawn(async move { sqlx::query(second).execute(&db).await });
        wait::until("the later one's turn", async || {
            let is_waiting: bool = sqlx::query_scalar(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')",
            )
            .fetch_one(&scene.db)
            .await
            .unwrap();
            (is_waiting || later.is_finished()).then_some(())
        })
        .await;
        earlier.commit().await.unwrap();
        later.await.unwrap().unwrap();
        let denied: bool =
            sqlx::query_scalar("SELECT denied FROM reflector.recording").fetch_one(&scene.db).await.unwrap();
        assert!(denied, "{first}");
        scene.execute("DELETE FROM reflector.recording").await;
        scene.execute("DELETE FROM reflector.meeting_consent").await;
    }
}
