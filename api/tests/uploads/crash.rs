//! The real program is killed while it reads an object back.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use http::Method;
use serde_json::{Value, json};
use testbed::proxy::Proxy;

use crate::scene::{File, PATH, Scene, signed};
use crate::support::wait;

/// `reflector-api serve`, killed when dropped.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    /// Starts it on the scene's database and the storage behind `endpoint`.
    fn start(scene: &Scene, endpoint: &str) -> Self {
        let socket = scene.options.get_socket().unwrap().display().to_string().replace('/', "%2F");
        let database = scene.options.get_database().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_reflector-api"))
            .args(["serve", "--listen", "127.0.0.1:0"])
            .env_clear()
            .envs(&scene.variables)
            .env("DATABASE_URL", format!("postgresql://reflector@{socket}/{database}"))
            .env("RECORDING_STORAGE_AWS_ENDPOINT_URL", endpoint)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let url = loop {
            let before = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "it ended before it listened:\n{said}");
            if let Some((_, url)) = said[before..].split_once("listening on ") {
                break url.trim().to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, url }
    }

    async fn complete(&self, upload: &str, file: &File) -> (u16, Value) {
        let body = json!({"size_bytes": file.bytes.len(), "sha256": file.sha256()}).to_string();
        let path = format!("{PATH}/{upload}/complete");
        let (head, _) = signed(Method::POST, &path, &body).into_parts();
        let request = reqwest::Client::new().post(format!("{}{path}", self.url)).headers(head.headers);
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_verification_costs_another_verification() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(scene.s3.address().port()).unwrap();
    let file = File::new("rec_1", 1_000_000);
    let upload = scene.send(&file).await;
    let first = Program::start(&scene, &proxy.url());
    // Every 16 KiB of the object take their time.
    proxy.delay(std::time::Duration::from_millis(100));
    assert_eq!(first.complete(&upload, &file).await, (202, json!({"state": "verifying"})));
    wait::until("the reading to begin", async || (scene.s3.reads() == 1).then_some(())).await;
    drop(first);
    assert_eq!(scene.state(&upload).await.0, "verifying");

    let second = Program::start(&scene, &scene.s3.url());
    assert_eq!(second.complete(&upload, &file).await.0, 202, "it may still be somebody's");
    assert_eq!(scene.s3.reads(), 1);
    // Half a minute later.
    scene
        .change("UPDATE reflector.upload SET leased_until = now() - interval '1 s' WHERE id = $1", &upload)
        .await;
    let (status, answer) = wait::until("the verification", async || {
        Some(second.complete(&upload, &file).await).filter(|(status, _)| *status != 202)
    })
    .await;
    assert_eq!((status, &answer["state"]), (200, &json!("verified")));
    assert_eq!(scene.s3.reads(), 2);
}
