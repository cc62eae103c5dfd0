//! What readers of a meeting get of its recordings.

use serde_json::json;

use crate::scene::{File, PART, Scene};

#[tokio::test]
async fn a_verified_file_can_be_downloaded_from_its_meeting() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", PART + 10);
    let (_, verified) = scene.upload(&file).await;
    scene.service.notice(&file, "recordings", verified["object_key"].as_str().unwrap()).await;
    let files = scene.service.files("cloud", "owner").await;
    assert_eq!(files.len(), 1);
    assert_eq!((&files[0]["state"], &files[0]["sha256"]), (&json!("stored"), &json!(file.sha256())));
    assert!(files[0]["download_expires_at"].is_string());
    let (status, media_type, bytes) = scene.fetch(files[0]["download_url"].as_str().unwrap()).await;
    assert_eq!((status, media_type.as_str()), (200, "video/mp4"));
    assert!(bytes == file.bytes);
}

#[tokio::test]
async fn a_notice_alone_makes_nothing_downloadable_and_takes_nothing_away() {
    let scene = Scene::new().await;
    let (stored, other) = (File::new("rec_1", 10), File::new("rec_2", 10));
    let (_, verified) = scene.upload(&stored).await;
    let key = verified["object_key"].as_str().unwrap();
    // Another recording claims the object, and one that is not there.
    scene.service.notice(&other, "recordings", key).await;
    scene.service.notice(&File::new("rec_3", 10), "recordings", "some/key").await;
    // What was verified counts more than what its own notice says.
    scene.service.notice(&stored, "somebody-elses", key).await;
    let files = scene.service.files("cloud", "owner").await;
    assert_eq!(files.len(), 3);
    for file in files {
        let expected = if file["id"] == "rec_1" { "stored" } else { "announced" };
        assert_eq!(
            (&file["state"], file["download_url"].is_null()),
            (&json!(expected), expected != "stored"),
            "{file}"
        );
        assert!(file["bucket"] == "recordings");
    }
}

#[tokio::test]
async fn an_object_that_was_verified_stays_downloadable_when_its_file_is_another_one() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 10);
    let (_, verified) = scene.upload(&file).await;
    scene.service.notice(&file, "recordings", verified["object_key"].as_str().unwrap()).await;
    scene.upload(&File::new("rec_1", 20)).await;
    scene.service.uploads.as_ref().unwrap().clean_up().await.unwrap();
    let files = scene.service.files("cloud", "owner").await;
    assert_eq!((files.len(), &files[0]["state"]), (1, &json!("stored")));
    assert!(scene.fetch(files[0]["download_url"].as_str().unwrap()).await.2 == file.bytes);
}

#[tokio::test]
async fn addresses_lead_to_where_agents_and_browsers_reach_the_storage() {
    let scene = Scene::new().await;
    let replica =
        scene.replica(&[("RECORDING_STORAGE_AWS_PUBLIC_ENDPOINT_URL", "https://s3.example.com/behind")]);
    let file = File::new("rec_1", 10);
    let (_, verified) = scene.upload(&file).await;
    replica.notice(&file, "recordings", verified["object_key"].as_str().unwrap()).await;
    let download = replica.files("cloud", "owner").await[0]["download_url"].as_str().unwrap().to_owned();
    assert!(download.starts_with("https://s3.example.com/behind/recordings/jitsi/cloud/"), "{download}");
    let upload = scene.begin(&File::new("rec_2", 10)).await;
    let answer = replica.parts(&upload, &json!({"numbers": [1], "list_stored": true})).await.ok();
    assert!(
        answer["urls"][0]["url"].as_str().unwrap().starts_with("https://s3.example.com/behind/recordings/")
    );
    assert_eq!(answer["stored"], json!([]), "asked for at the other address");
}
