//! Nothing that nobody wants stays in the storage.

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

#[tokio::test]
async fn an_upload_that_nobody_asks_about_ends_after_days_by_one_replica() {
    let scene = Scene::new().await;
    let (old, young) = (scene.send(&File::new("rec_1", 10)).await, scene.send(&File::new("rec_2", 10)).await);
    let (_, verified) = scene.upload(&File::new("rec_3", 10)).await;
    for id in [old.as_str(), young.as_str()] {
        let age = if id == old { "7 days 1 second" } else { "6 days 23 hours" };
        sqlx::query("UPDATE reflector.upload SET touched_at = now() - $2::text::interval WHERE id = $1")
            .bind(id)
            .bind(age)
            .execute(&scene.db)
            .await
            .unwrap();
    }
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
