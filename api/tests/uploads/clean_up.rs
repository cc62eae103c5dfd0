//! Nothing that nobody wants stays in the storage.

use api::recordings::clean_up::{CleanedUp, clean_up};

use crate::scene::{File, Scene};

#[tokio::test]
async fn an_upload_can_be_given_up() {
    let scene = Scene::new().await;
    let upload = scene.send(&File::new("rec_1", 10)).await;
    for _ in 0..2 {
        assert_eq!(scene.service.abort(&upload).await.ok()["status"], "aborted");
        assert_eq!(scene.s3.open_uploads().unwrap(), 0);
    }
    assert_eq!(
        scene.service.complete(&upload, &File::new("rec_1", 10)).await.refusal(),
        (404, "upload_not_found")
    );
}

/// Nobody has asked about the upload for this long.
async fn pass(scene: &Scene, upload: &str, time: &str) {
    sqlx::query("UPDATE reflector.upload SET touched_at = now() - $2::text::interval WHERE id = $1")
        .bind(upload)
        .bind(time)
        .execute(&scene.db)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_file_that_is_all_there_is_kept_when_its_host_does_not_come_back() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 10);
    let (whole, verifying) = (scene.send(&file).await, scene.send(&File::new("rec_2", 10)).await);
    let wrong = scene.begin(&File::new("rec_3", 10)).await;
    scene.put(&wrong, &[(1, b"ten others")]).await;
    scene.change("UPDATE reflector.upload SET state = 'verifying' WHERE id = $1", &verifying).await;
    for upload in [&whole, &verifying, &wrong] {
        pass(&scene, upload, "8 days").await;
    }
    let away =
        scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).uploads.unwrap();
    assert_eq!(away.clean_up().await.unwrap().abandoned, 0, "nobody knows what is there");
    scene.change("UPDATE reflector.upload SET leased_until = NULL WHERE id = $1", &verifying).await;
    let uploads = scene.service.uploads.as_ref().unwrap();
    assert_eq!(uploads.clean_up().await.unwrap().abandoned, 0);
    for (upload, state) in [(&whole, "verified"), (&verifying, "verified"), (&wrong, "ended")] {
        assert_eq!(scene.state(upload).await.0, state);
    }
    assert_eq!(scene.service.complete(&whole, &file).await.ok()["state"], "verified", "should it come back");
}

#[tokio::test]
async fn a_denial_reaches_an_upload_that_is_verified_after_its_meeting_was_deleted() {
    for is_noticed in [false, true] {
        let scene = Scene::new().await;
        let file = File::new("rec_1", 10);
        let upload = scene.send(&file).await;
        if is_noticed {
            scene.service.notice(&file, "elsewhere", "not-there").await;
        }
        sqlx::query(
            "INSERT INTO reflector.meeting_consent (id, meeting_id, consent_given, consent_timestamp)
             SELECT 'c', meeting_id, false, now() FROM reflector.upload WHERE id = $1",
        )
        .bind(&upload)
        .execute(&scene.db)
        .await
        .unwrap();
        sqlx::query("DELETE FROM reflector.room").execute(&scene.db).await.unwrap();
        let answer = scene.service.completed(&upload, &file).await.ok();
        let key = answer["object_key"].as_str().unwrap();
        assert!(scene.s3.object(key).exists());
        let now = time::OffsetDateTime::now_utc();
        let cleaned = clean_up(&scene.db, Some(scene.service.storage()), now).await.unwrap();
        assert_eq!(cleaned, CleanedUp { denied: 1, ..CleanedUp::default() }, "{is_noticed}");
        assert!(!scene.s3.object(key).exists());
    }
}

#[tokio::test]
async fn an_upload_that_nobody_asks_about_ends_after_days_by_one_replica() {
    let scene = Scene::new().await;
    let (old, young) =
        (scene.begin(&File::new("rec_1", 10)).await, scene.send(&File::new("rec_2", 10)).await);
    let (_, verified) = scene.upload(&File::new("rec_3", 10)).await;
    pass(&scene, &old, "7 days 1 second").await;
    pass(&scene, &young, "6 days 23 hours").await;
    let replicas = [scene.replica(&[]), scene.replica(&[])];
    let [first, second] = replicas.map(|replica| replica.uploads.unwrap());
    let (first, second) = tokio::join!(first.clean_up(), second.clean_up());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!((first.abandoned + second.abandoned, first.removed + second.removed), (1, 1));
    assert_eq!(scene.state(&old).await.1.as_deref(), Some("abandoned"));
    assert_eq!(scene.state(&young).await.0, "open");
    assert_eq!(scene.s3.open_uploads().unwrap(), 1);
    assert!(scene.s3.object(verified["object_key"].as_str().unwrap()).exists());
}

#[tokio::test]
async fn what_could_not_be_removed_at_once_is_removed_later() {
    let mut scene = Scene::new().await;
    let upload = scene.send(&File::new("rec_1", 10)).await;
    let unreachable = scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", "http://127.0.0.1:1")]);
    assert_eq!(unreachable.abort(&upload).await.ok()["status"], "aborted");
    assert_eq!(scene.s3.open_uploads().unwrap(), 1);
    assert_eq!(unreachable.uploads.unwrap().clean_up().await.unwrap().failed, 1);
    // Whoever failed at it keeps others away for a while.
    scene
        .change("UPDATE reflector.upload SET leased_until = now() - interval '1 s' WHERE id = $1", &upload)
        .await;
    let uploads = scene.service.uploads.take().unwrap();
    assert_eq!(uploads.clean_up().await.unwrap().removed, 1);
    assert_eq!(scene.s3.open_uploads().unwrap(), 0);
    assert_eq!(uploads.clean_up().await.unwrap().removed, 0);
}

#[tokio::test]
async fn a_storage_that_is_away_is_asked_once_and_a_bucket_that_is_gone_holds_nothing() {
    let scene = Scene::new().await;
    let away =
        scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).uploads.unwrap();
    for recording in ["rec_1", "rec_2", "rec_3"] {
        let upload = scene.begin(&File::new(recording, 10)).await;
        away.abort(&upload).await.unwrap();
    }
    assert_eq!(away.clean_up().await.unwrap().failed, 1);
    sqlx::query("UPDATE reflector.upload SET leased_until = NULL, bucket = 'gone'")
        .execute(&scene.db)
        .await
        .unwrap();
    let cleaned = scene.service.uploads.as_ref().unwrap().clean_up().await.unwrap();
    assert_eq!((cleaned.removed, cleaned.failed), (3, 0));
}
