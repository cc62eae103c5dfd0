//! A storage that does not do what it is asked.

use std::process::Command;

use serde_json::json;
use testbed::proxy::{Mode, Proxy};

use crate::scene::{File, Scene};
use crate::support::wait;

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
    let answer = wait::until("the verification", async || {
        Some(service.completed(&upload, &file).await).filter(|answer| answer.status != 503)
    });
    assert_eq!(answer.await.ok()["state"], "verified");
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
