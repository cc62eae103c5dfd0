//! A storage that does not do what it is asked.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::proxy::{Mode, Proxy};

use crate::scene::{File, Scene};
use crate::support::wait;

/// Every 16 KiB take this long, so that the reading of an object can be seen.
const SLOWLY: Duration = Duration::from_millis(100);

#[tokio::test]
async fn a_storage_that_refuses_or_is_silent_is_a_reason_to_come_back() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 10);
    for (variable, value) in [
        ("RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY", "another-secret"),
        ("RECORDING_STORAGE_AWS_ACCESS_KEY_ID", "nobody"),
        ("RECORDING_STORAGE_AWS_BUCKET_NAME", "no-such-bucket"),
        ("RECORDING_STORAGE_AWS_ENDPOINT_URL", "http://127.0.0.1:1"),
    ] {
        let answer = scene.replica(&[(variable, value)]).offer(&file).await;
        assert_eq!(answer.refusal(), (503, "storage_unavailable"), "{variable}");
        assert_eq!(answer.headers["retry-after"], "1");
        assert!(!answer.body.to_string().contains("127.0.0.1"), "{}", answer.body);
    }
}

#[tokio::test]
async fn a_storage_that_is_silent_is_told_before_the_host_gives_up_waiting() {
    let scene = Scene::new().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let service = scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", &url)]);
    scene.begin(&File::new("rec_1", 10)).await;
    let begun = Instant::now();
    // Another file, so that the upload before it is removed first.
    let replaced = service.offer(&File::new("rec_1", 11)).await;
    assert_eq!(replaced.refusal(), (503, "storage_unavailable"));
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_verification_that_the_storage_interrupts_is_done_again() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(scene.s3.address().port()).unwrap();
    let service = scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", &proxy.url())]);
    let file = File::new("rec_1", 200_000);
    let upload = scene.send(&file).await;
    // The upload is being verified already when the storage goes.
    scene.change("UPDATE reflector.upload SET state = 'verifying' WHERE id = $1", &upload).await;
    proxy.set(Mode::Cut);
    let answer = service.completed(&upload, &file).await;
    assert_eq!(answer.refusal(), (503, "storage_unavailable"));
    assert_eq!(answer.headers["retry-after"], "1");
    proxy.set(Mode::Pass);
    half_a_minute_later(&scene, &upload).await;
    assert_eq!(service.completed(&upload, &file).await.ok()["state"], "verified");
}

/// The time for which nobody tries again what has failed, or takes over what somebody is at, has passed.
async fn half_a_minute_later(scene: &Scene, upload: &str) {
    let passed = "UPDATE reflector.upload SET leased_until = now() - interval '1 s' WHERE id = $1 AND state = 'verifying'";
    scene.change(passed, upload).await;
}

#[tokio::test]
async fn a_verification_that_fails_late_is_told_and_not_tried_again_at_once() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(scene.s3.address().port()).unwrap();
    let service = scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", &proxy.url())]);
    let file = File::new("rec_1", 1_000_000);
    let upload = scene.send(&file).await;
    proxy.delay(SLOWLY);
    assert_eq!(service.complete(&upload, &file).await.status, 202);
    wait::until("the reading to begin", async || (scene.s3.reads() == 1).then_some(())).await;
    proxy.set(Mode::Cut);
    let answer = service.completed(&upload, &file).await;
    assert_eq!(answer.refusal(), (503, "storage_unavailable"));
    proxy.set(Mode::Pass);
    proxy.delay(Duration::ZERO);
    for asked in [&service, &scene.service] {
        assert_eq!(asked.complete(&upload, &file).await.refusal(), (503, "storage_unavailable"));
    }
    assert_eq!(scene.s3.reads(), 1);
    half_a_minute_later(&scene, &upload).await;
    assert_eq!(service.completed(&upload, &file).await.ok()["state"], "verified");
    assert_eq!(scene.s3.reads(), 2);
}

#[tokio::test]
async fn who_finds_all_verifications_taken_comes_back_later_and_costs_the_storage_nothing() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(scene.s3.address().port()).unwrap();
    let service = scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", &proxy.url())]);
    let files = [File::new("rec_1", 1_000_000), File::new("rec_2", 1_000_000)];
    let uploads = [scene.send(&files[0]).await, scene.send(&files[1]).await];
    let last = File::new("rec_3", 10);
    let waiting = scene.begin(&last).await;
    proxy.delay(SLOWLY);
    let (first, second) =
        tokio::join!(service.complete(&uploads[0], &files[0]), service.complete(&uploads[1], &files[1]));
    assert_eq!((first.status, second.status), (202, 202));
    // Nothing of it is stored, but nobody has looked.
    let answer = service.complete(&waiting, &last).await;
    assert_eq!((answer.status, &answer.headers["retry-after"]), (202, &"10".parse().unwrap()));
    assert_eq!(scene.state(&waiting).await.0, "open");
    proxy.delay(Duration::ZERO);
    let answer = service.completed(&waiting, &last).await;
    assert_eq!(answer.refusal(), (409, "upload_incomplete"));
}

/// What holds slots: the verification's end cannot be written down while somebody else holds the rows.
#[tokio::test]
async fn a_database_that_goes_silent_holds_no_verification_for_good() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(scene.s3.address().port()).unwrap();
    let service = scene.replica(&[("RECORDING_STORAGE_AWS_ENDPOINT_URL", &proxy.url())]);
    let files = [File::new("rec_1", 1_000_000), File::new("rec_2", 1_000_000)];
    let uploads = [scene.send(&files[0]).await, scene.send(&files[1]).await];
    let last = File::new("rec_3", 10);
    let waiting = scene.send(&last).await;
    proxy.delay(SLOWLY);
    let (first, second) =
        tokio::join!(service.complete(&uploads[0], &files[0]), service.complete(&uploads[1], &files[1]));
    assert_eq!((first.status, second.status), (202, 202));
    let mut silence = scene.db.begin().await.unwrap();
    sqlx::query("SELECT FROM reflector.upload WHERE state = 'verifying' FOR UPDATE")
        .execute(&mut *silence)
        .await
        .unwrap();
    proxy.delay(Duration::ZERO);
    assert_eq!(service.complete(&waiting, &last).await.status, 202);
    assert_eq!(service.completed(&waiting, &last).await.ok()["state"], "verified");
    drop(silence);
}

#[tokio::test]
async fn an_object_that_has_vanished_is_sent_again() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 10);
    let upload = scene.send(&file).await;
    scene.service.completed(&upload, &file).await.ok();
    let key: String =
        sqlx::query_scalar("SELECT object_key FROM reflector.upload").fetch_one(&scene.db).await.unwrap();
    // As if the one who verified had died before it said so, and the object were gone since.
    let again = "UPDATE reflector.upload SET state = 'verifying', verified_at = NULL WHERE id = $1";
    scene.change(again, &upload).await;
    std::fs::remove_file(scene.s3.object(&key)).unwrap();
    let answer = scene.service.completed(&upload, &file).await;
    assert_eq!(answer.refusal(), (404, "upload_not_found"));
    assert_eq!(scene.state(&upload).await.1.as_deref(), Some("lost"));
}

#[tokio::test]
async fn the_check_uses_the_storage_and_names_what_to_look_at() {
    let scene = Scene::new().await;
    for (variable, value, code) in [
        ("", "", 0),
        ("RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY", "another-secret", 1),
        ("RECORDING_STORAGE_AWS_BUCKET_NAME", "no-such-bucket", 1),
        ("RECORDING_STORAGE_AWS_ENDPOINT_URL", "http://127.0.0.1:1", 1),
        ("RECORDING_STORAGE_AWS_BUCKET_NAME", "", 78),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-api"));
        command.arg("check").env_clear().envs(&scene.variables);
        if !variable.is_empty() {
            command.env(variable, value);
        }
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        let expected =
            if code == 0 { "The object storage works".into() } else { format!("error: {variable}: ") };
        assert!(text.contains(&expected), "{text}");
        assert!(!text.contains("X-Amz-Signature"), "{text}");
    }
    let left = std::fs::read_dir(scene.s3.object("jitsi")).unwrap().count();
    assert_eq!((left, scene.s3.open_uploads().unwrap()), (0, 0), "{}", json!("nothing is left of it"));
}
