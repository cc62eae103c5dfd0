//! A bucket is listed and looked into with signatures that the storage checks.

use api::config::Secret;
use api::storage::{Place, Storage};

use crate::scene::{File, Scene};

#[tokio::test]
async fn a_bucket_is_listed_in_order_by_those_who_have_its_key() {
    let scene = Scene::new().await;
    let odd = scene.s3.object("b c/ü+1.mp4");
    std::fs::create_dir_all(odd.parent().unwrap()).unwrap();
    std::fs::write(odd, b"odd").unwrap();
    let (_, verified) = scene.upload(&File::new("rec_1", 10)).await;
    let key = verified["object_key"].as_str().unwrap();
    let storage = scene.service.storage();
    let listing = storage.list("recordings", "").await.unwrap();
    let found: Vec<_> = listing.objects.iter().map(|object| (object.key.as_str(), object.size)).collect();
    assert_eq!((found, listing.has_more), (vec![("b c/ü+1.mp4", 3), (key, 10)], false));
    let rest = storage.list("recordings", "b c/ü+1.mp4").await.unwrap();
    assert_eq!(rest.objects.len(), 1);
    for (key, expected) in [(key, true), ("b c/ü+1.mp4", true), ("other", false)] {
        assert_eq!(storage.has(Place { bucket: "recordings", key }).await.unwrap(), expected, "{key}");
    }

    let mut settings = storage.settings().clone();
    settings.secret_key = Secret::new("not-the-right-one");
    let stranger = Storage::new(settings).unwrap();
    assert!(stranger.list("recordings", "").await.unwrap_err().is_code("SignatureDoesNotMatch"));
    stranger.has(Place { bucket: "recordings", key }).await.unwrap_err();
}
