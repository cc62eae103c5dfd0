//! Nobody is told that a file is stored before it was read back.

use std::sync::Arc;

use serde_json::json;

use crate::scene::{File, PART, Scene};

#[tokio::test]
async fn a_file_is_verified_once_all_its_parts_are_there() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 2 * PART + 1000);
    let upload = scene.begin(&file).await;
    let parts = file.parts();
    let refused = scene.service.complete(&upload, &file).await;
    assert_eq!(refused.refusal(), (409, "upload_incomplete"));
    assert_eq!(refused.body["detail"], "part 1 is missing; part 2 is missing; part 3 is missing");

    scene.put(&upload, &[(2, parts[1]), (3, &parts[2][..999])]).await;
    assert_eq!(scene.service.stored(&upload).await, [(2, PART as u64), (3, 999)]);
    let refused = scene.service.complete(&upload, &file).await;
    assert_eq!(refused.refusal(), (409, "upload_incomplete"));
    assert_eq!(refused.body["detail"], "part 1 is missing; part 3 has 999 bytes and must have 1000");
    assert_eq!(scene.state(&upload).await.0, "open");

    scene.put(&upload, &[(1, parts[0]), (3, parts[2])]).await;
    let verified = scene.service.completed(&upload, &file).await.ok();
    let key = verified["object_key"].as_str().unwrap();
    let expected = json!({
        "state": "verified", "bucket": "recordings", "object_key": key, "size_bytes": file.bytes.len(), "sha256": file.sha256(),
    });
    assert_eq!(verified, expected);
    assert!(std::fs::read(scene.s3.object(key)).unwrap() == file.bytes);

    assert_eq!(scene.service.complete(&upload, &file).await.ok(), expected, "as often as somebody asks");
    assert_eq!(scene.service.offer(&file).await.ok()["state"], "verified");
    let parts = scene.service.parts(&upload, &json!({"numbers": [1]})).await;
    assert_eq!(parts.refusal(), (409, "upload_verified"));
    assert_eq!(scene.service.abort(&upload).await.refusal(), (409, "upload_verified"));
    assert!(scene.s3.object(key).exists());
}

#[tokio::test]
async fn a_file_that_arrived_with_another_byte_is_removed_and_sent_again() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", PART + 10);
    let upload = scene.begin(&file).await;
    let mut parts: Vec<_> = file.parts().into_iter().map(<[u8]>::to_vec).collect();
    parts[1][3] ^= 1;
    scene.put(&upload, &[(1, &parts[0]), (2, &parts[1])]).await;
    let key = scene.service.offer(&file).await.ok()["object_key"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let refused = scene.service.completed(&upload, &file).await;
        assert_eq!(refused.refusal(), (409, "checksum_mismatch"));
        assert!(refused.body["detail"].as_str().unwrap().contains("begin the upload again"));
    }
    crate::support::wait::until("the object's removal", async || {
        (!scene.s3.object(&key).exists()).then_some(())
    })
    .await;
    let (second, _) = scene.upload(&file).await;
    assert_ne!(upload, second);
}

#[tokio::test]
async fn a_file_that_has_changed_since_is_not_put_together() {
    let scene = Scene::new().await;
    let upload = scene.send(&File::new("rec_1", 10)).await;
    let changed = File { bytes: b"other bytes".to_vec(), ..File::new("rec_1", 0) };
    assert_eq!(scene.service.complete(&upload, &changed).await.refusal(), (409, "checksum_mismatch"));
    assert_eq!(scene.state(&upload).await.1.as_deref(), Some("mismatch"));
    assert_eq!(scene.s3.open_uploads().unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_are_asked_at_once_verify_once() {
    let scene = Arc::new(Scene::new().await);
    let file = Arc::new(File::new("rec_1", 2 * PART));
    let upload = scene.send(&file).await;
    let replicas: Vec<_> = (0..4).map(|_| Arc::new(scene.replica(&[]))).collect();
    let mut asking = tokio::task::JoinSet::new();
    for replica in replicas {
        let (file, upload) = (Arc::clone(&file), upload.clone());
        asking.spawn(async move { replica.completed(&upload, &file).await.ok()["state"].clone() });
    }
    assert_eq!(asking.join_all().await, vec![json!("verified"); 4]);
    assert_eq!(scene.s3.reads(), 1);
}
