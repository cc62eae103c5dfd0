//! The real program is killed while it reads an object back.

use http::Method;
use serde_json::{Value, json};
use testbed::proxy::Proxy;

use crate::scene::{File, PATH, Scene, signed};
use crate::support::program::Program;
use crate::support::wait;

/// Starts the program on the scene's database and the storage behind `endpoint`.
fn start(scene: &Scene, endpoint: &str) -> Program {
    let mut variables = scene.variables.clone();
    variables.insert("RECORDING_STORAGE_AWS_ENDPOINT_URL".to_owned(), endpoint.to_owned());
    Program::start(&variables, &scene.options)
}

async fn complete(program: &Program, upload: &str, file: &File) -> (u16, Value) {
    let body = json!({"size_bytes": file.bytes.len(), "sha256": file.sha256()}).to_string();
    let path = format!("{PATH}/{upload}/complete");
    let (head, _) = signed(Method::POST, &path, &body).into_parts();
    let request = reqwest::Client::new().post(format!("{}{path}", program.url())).headers(head.headers);
    let answer = request.body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_verification_costs_another_verification() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(scene.s3.address().port()).unwrap();
    let file = File::new("rec_1", 1_000_000);
    let upload = scene.send(&file).await;
    let first = start(&scene, &proxy.url());
    // Every 16 KiB of the object take their time.
    proxy.delay(std::time::Duration::from_millis(100));
    assert_eq!(complete(&first, &upload, &file).await, (202, json!({"state": "verifying"})));
    wait::until("the reading to begin", async || (scene.s3.reads() == 1).then_some(())).await;
    drop(first);
    assert_eq!(scene.state(&upload).await.0, "verifying");

    let second = start(&scene, &scene.s3.url());
    assert_eq!(complete(&second, &upload, &file).await.0, 202, "it may still be somebody's");
    assert_eq!(scene.s3.reads(), 1);
    // Half a minute later.
    scene
        .change("UPDATE reflector.upload SET leased_until = now() - interval '1 s' WHERE id = $1", &upload)
        .await;
    let (status, answer) = wait::until("the verification", async || {
        Some(complete(&second, &upload, &file).await).filter(|(status, _)| *status != 202)
    })
    .await;
    assert_eq!((status, &answer["state"]), (200, &json!("verified")));
    assert_eq!(scene.s3.reads(), 2);
}
