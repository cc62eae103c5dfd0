//! Which files are uploaded, and what is one upload.

use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinSet;

use crate::scene::{File, Scene};

#[tokio::test]
async fn a_file_that_is_not_to_be_in_the_cloud_stays_on_its_host() {
    let scene = Scene::new().await;
    let without = scene.replica(&[("RECORDING_STORAGE_BACKEND", "")]);
    let of_whereby = scene.replica(&[
        ("RECORDING_STORAGE_BACKEND", ""),
        ("AWS_WHEREBY_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_WHEREBY_ACCESS_KEY_SECRET", "0011223344556677"),
    ]);
    for (service, room, reason) in [
        (&of_whereby, "cloud", "storage_not_configured"),
        (&scene.service, "local", "recording_type_local"),
        (&scene.service, "none", "recording_type_none"),
        (&without, "local", "recording_type_local"),
        (&without, "cloud", "storage_not_configured"),
        (&without, "unknown", "storage_not_configured"),
    ] {
        let file = File { room: room.into(), ..File::new("rec_1", 10) };
        let answer = service.offer(&file).await.ok();
        assert_eq!((&answer["decision"], &answer["reason"]), (&json!("keep"), &json!(reason)), "{room}");
        assert!(answer["message"].as_str().unwrap().ends_with('.'));
    }
    assert_eq!(scene.s3.open_uploads().unwrap(), 0);
    let answer = without.parts("upl_0", &json!({"numbers": []})).await;
    assert_eq!(answer.refusal(), (503, "storage_not_configured"));
}

#[tokio::test]
async fn the_same_file_is_the_same_upload_and_another_file_another_one() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 3 * 5_242_880 - 1);
    let answer = scene.service.offer(&file).await.ok();
    assert_eq!((&answer["part_size_bytes"], &answer["part_count"]), (&json!(5_242_880), &json!(3)));
    assert_eq!(answer["bucket"], "recordings");
    let key = answer["object_key"].as_str().unwrap();
    assert!(key.starts_with("jitsi/cloud/session/") && key.ends_with("/cloud_2026.mp4"), "{key}");
    assert_eq!(scene.service.offer(&file).await.ok(), answer);

    let changed = File::new("rec_1", 12);
    let second = scene.begin(&changed).await;
    let first = answer["upload_id"].as_str().unwrap();
    assert_ne!(second, first);
    assert_eq!(scene.state(first).await, ("ended".to_owned(), Some("replaced".to_owned())));
    assert_eq!(scene.s3.open_uploads().unwrap(), 1, "the first one is gone from the storage");
    assert_eq!(
        scene.service.parts(first, &json!({"numbers": [1]})).await.refusal(),
        (404, "upload_not_found")
    );
    assert_ne!(scene.begin(&File::new("rec_2", 12)).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_at_once_one_upload_begins() {
    let scene = Arc::new(Scene::new().await);
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let scene = Arc::clone(&scene);
        asking.spawn(async move { scene.begin(&File::new("rec_1", 10)).await });
    }
    let mut ids = asking.join_all().await;
    ids.dedup();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(scene.s3.open_uploads().unwrap(), 1);
}

#[tokio::test]
async fn odd_names_and_an_empty_file_are_uploaded_like_any_other() {
    let scene = Scene::new().await;
    for (place, name) in
        ["Übung #1 – 100%?.mp4", "../../etc/passwd", "a\nb\"'\\;&.mkv", ".mp4", &"x".repeat(300)]
            .into_iter()
            .enumerate()
    {
        let file = File { name: name.into(), ..File::new(&format!("rec_{place}"), 100) };
        let (_, verified) = scene.upload(&file).await;
        let key = verified["object_key"].as_str().unwrap();
        assert!(key.starts_with("jitsi/cloud/session/"), "{key}");
        assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte)), "{key}");
        assert_eq!(std::fs::read(scene.s3.object(key)).unwrap(), file.bytes, "{name}");
    }
    let empty = File::new("rec_empty", 0);
    let (_, verified) = scene.upload(&empty).await;
    assert_eq!((&verified["state"], &verified["size_bytes"]), (&json!("verified"), &json!(0)));
    assert_eq!(std::fs::read(scene.s3.object(verified["object_key"].as_str().unwrap())).unwrap(), b"");
}

#[tokio::test]
async fn an_upload_that_the_storage_has_lost_begins_anew() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 10);
    let first = scene.send(&file).await;
    // A rule of the bucket has removed it.
    let (bucket, key, id): (String, String, String) =
        sqlx::query_as("SELECT bucket, object_key, storage_id FROM reflector.upload")
            .fetch_one(&scene.db)
            .await
            .unwrap();
    let place = api::storage::Place { bucket: &bucket, key: &key };
    scene.service.storage().abort(place, &id).await.unwrap();
    assert_eq!(scene.service.complete(&first, &file).await.refusal(), (404, "upload_not_found"));
    assert_eq!(scene.state(&first).await.1.as_deref(), Some("lost"));
    let (second, _) = scene.upload(&file).await;
    assert_ne!(first, second);
}
