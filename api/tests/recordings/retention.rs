//! What is too old is removed, what has no meeting waits for one, and uploads are encrypted as they are to be.

use api::config::Encryption;
use api::recordings::clean_up::{CleanedUp, clean_up};
use api::recordings::consumer::Running;
use api::storage::{Place, Storage};
use time::{Duration, OffsetDateTime};

use crate::scene::{ROOM, Scene, file};

async fn clean_at(scene: &Scene, now: OffsetDateTime) -> CleanedUp {
    let storage = scene.state.uploads.as_ref().unwrap().storage();
    clean_up(&scene.db, Some(storage), now).await.unwrap()
}

/// Has recordings found; what finds them goes on.
async fn fill(scene: &Scene, room: &str, minutes: &[u32]) -> Running {
    for minute in minutes {
        scene.place.put(&file(room, *minute), b"x").unwrap();
    }
    let consumer = scene.listen();
    scene.until_states(&vec!["stored"; minutes.len()]).await;
    scene.until_read().await;
    consumer
}

#[tokio::test(flavor = "multi_thread")]
async fn recordings_are_removed_when_they_are_too_old_and_not_before() {
    let scene = Scene::with(&[("RECORDING_RETENTION_DAYS", "30")]).await;
    let consumer = fill(&scene, ROOM, &[2, 3]).await;
    scene
        .execute(
            "UPDATE reflector.recording SET completed_at = completed_at - interval '1 day' WHERE object_key LIKE '%10:02:20Z.mp4'",
        )
        .await;
    // What was verified of the same recording besides goes with it.
    scene.place.put("jitsi/other", b"x").unwrap();
    scene
        .execute(
            "INSERT INTO reflector.upload (id, recording_id, meeting_id, session_id, host, file_name, size_bytes, sha256, bucket,
               object_key, storage_id, part_size_bytes, part_count, state, end_reason, verified_at)
             SELECT 'u', id, 'm', 's', 'h', 'f', 1, 'ab', bucket, 'jitsi/other', 'x', 1, 1, 'ended', 'replaced', now()
             FROM reflector.recording WHERE object_key LIKE '%10:02:20Z.mp4'",
        )
        .await;
    let now = OffsetDateTime::now_utc();
    assert_eq!(clean_at(&scene, now + Duration::days(28)).await, CleanedUp::default());
    let due = now + Duration::days(29) + Duration::hours(1);
    assert_eq!(clean_at(&scene, due).await, CleanedUp { expired: 1, ..CleanedUp::default() });
    scene.until_states(&["deleted", "stored"]).await;
    for (key, is_there) in [(file(ROOM, 2), false), ("jitsi/other".to_owned(), false), (file(ROOM, 3), true)]
    {
        assert_eq!(scene.place.head(&key).is_some(), is_there, "{key}");
    }
    let reason: String =
        sqlx::query_scalar("SELECT deleted_reason FROM reflector.recording WHERE state = 'deleted'")
            .fetch_one(&scene.db)
            .await
            .unwrap();
    assert_eq!(reason, "retention");
    // That the storage tells of the removals changes nothing.
    scene.until_read().await;
    consumer.stop().await;
    scene.until_states(&["deleted", "stored"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_removed_unless_it_is_asked_for() {
    let scene = Scene::new().await;
    fill(&scene, ROOM, &[2]).await.stop().await;
    let now = OffsetDateTime::now_utc() + Duration::days(10_000);
    assert_eq!(clean_at(&scene, now).await, CleanedUp::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_no_meeting_is_never_removed_and_is_forgotten_after_a_week() {
    let scene = Scene::with(&[("RECORDING_RETENTION_DAYS", "30")]).await;
    fill(&scene, "of-others", &[2]).await.stop().await;
    let due = OffsetDateTime::now_utc() + Duration::days(100);
    assert_eq!(clean_at(&scene, due).await, CleanedUp::default());
    assert_eq!(scene.rows().await.len(), 1, "its meeting may become known");
    scene.execute("UPDATE reflector.recording SET completed_at = now() - interval '8 days'").await;
    assert_eq!(clean_at(&scene, due).await, CleanedUp::default());
    assert_eq!(scene.rows().await, []);
    assert!(scene.place.head(&file("of-others", 2)).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_that_turns_up_after_its_meeting_was_deleted_is_removed_when_it_is_too_old() {
    let scene = Scene::with(&[("RECORDING_RETENTION_DAYS", "30")]).await;
    scene.execute("DELETE FROM reflector.room").await;
    fill(&scene, ROOM, &[2]).await.stop().await;
    assert_eq!(clean_at(&scene, OffsetDateTime::now_utc()).await, CleanedUp::default());
    let due = OffsetDateTime::now_utc() + Duration::days(31);
    assert_eq!(clean_at(&scene, due).await, CleanedUp { expired: 1, ..CleanedUp::default() });
    assert_eq!(scene.place.head(&file(ROOM, 2)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recording_is_given_to_its_meeting_when_that_is_known() {
    let scene = Scene::new().await;
    fill(&scene, "later", &[2]).await.stop().await;
    assert_eq!(scene.rows().await[0].meeting_id, None);
    scene.meeting("m2", "later").await;
    let cleaned = clean_at(&scene, OffsetDateTime::now_utc()).await;
    assert_eq!(cleaned, CleanedUp { adopted: 1, ..CleanedUp::default() });
    assert_eq!(scene.rows().await[0].meeting_id.as_deref(), Some("m2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_encrypted_as_they_are_to_be() {
    let scene = Scene::new().await;
    let key_id = "arn:aws:kms:us-east-1:123456789012:key/k".to_owned();
    for (encryption, expected) in [
        (Encryption::Own, vec![("x-amz-server-side-encryption", "AES256")]),
        (
            Encryption::Kms { key_id: Some(key_id.clone()) },
            vec![
                ("x-amz-server-side-encryption", "aws:kms"),
                ("x-amz-server-side-encryption-aws-kms-key-id", key_id.as_str()),
            ],
        ),
    ] {
        let mut settings = scene.state.config.storage.clone().unwrap();
        settings.encryption = Some(encryption);
        let storage = Storage::new(settings).unwrap();
        let place = Place { bucket: scene.place.bucket(), key: "encrypted.mp4" };
        let upload = storage.begin(place, "video/mp4").await.unwrap();
        let url = storage.part_url(place, &upload, 1).unwrap();
        let answer = reqwest::Client::new().put(url).body("x").send().await.unwrap();
        let e_tag = answer.headers()["etag"].to_str().unwrap().to_owned();
        storage.complete(place, &upload, &[&e_tag]).await.unwrap();
        let headers = scene.place.head("encrypted.mp4").unwrap();
        for (name, value) in expected {
            assert!(headers.contains(&(name.to_owned(), value.to_owned())), "{name}: {headers:?}");
        }
    }
}
