//! Requests that are made up from the document, right ones and wrong ones: whatever comes, the answer is one that it announces.

use std::fs;
use std::path::Path;
use std::process::Command;

use contract::signature::{Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use serde_json::{Value, json};
use testbed::api::Api;
use time::OffsetDateTime;

use crate::scene::{Scene, attempt, installed, run, sources};

/// What is looked for in every answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,unsupported_method,allow_header_conformance,ignored_auth";

/// What needs more than one request can bring along: a file that was sent, a calendar.
const OUT_OF_REACH: &[&str] = &[
    "/v1/recordings/uploads/{upload_id}/complete",
    "/v1/recordings/{recording_id}/download",
    "/v1/rooms/{room_name}/ics/sync",
];

#[test]
fn the_document_is_valid() {
    let scene = Scene::new();
    let file = scene.directory.path().join("openapi.json");
    fs::write(&file, scene.document().to_string()).unwrap();
    run(Command::new(installed().join("python/bin/openapi-spec-validator")).arg(&file));
}

#[test]
fn every_answer_is_one_that_the_document_announces() {
    let scene = Scene::new();
    let owner = scene.api.client("owner").unwrap();
    let known = ["jitsi", "whereby"].map(|platform| {
        let room = create_room(&scene.api, owner.token(), platform, platform);
        let meeting = owner.create_meeting(platform).unwrap();
        json!({
            "room_id": room, "room_name": platform, "meeting_id": meeting.id, "room": meeting.room_name,
            "upload_id": begin_upload(&scene, &meeting.room_name, platform),
        })
    });
    let [doomed, _] = ["doomed", "ended"].map(|name| create_room(&scene.api, owner.token(), name, "jitsi"));
    let meeting = owner.create_meeting("ended").unwrap();
    let spare = json!({
        "room_id": doomed, "meeting_id": meeting.id,
        "upload_id": begin_upload(&scene, &meeting.room_name, "spare"),
        "key_id": create_key(&scene.api, owner.token()),
    });
    // Kept, so that a failure can be looked into: each one comes with a request to repeat it by.
    let reports = Path::new(env!("CARGO_TARGET_TMPDIR")).join("schemathesis");
    if reports.exists() {
        fs::remove_dir_all(&reports).unwrap();
    }
    fs::create_dir_all(&reports).unwrap();
    let mut command = Command::new(installed().join("python/bin/schemathesis"));
    command
        .current_dir(scene.directory.path())
        .env("PYTHONPATH", sources().join("schemathesis"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .env("KNOWN", json!(known).to_string())
        .env("SPARE", spare.to_string())
        .env("JITSI_WEBHOOK_SECRET", &scene.secrets.webhook)
        .env("WHEREBY_WEBHOOK_SECRET", scene.whereby.webhook_secret())
        .args(["run", &format!("{}/openapi.json", scene.api.url()), "--checks", CHECKS])
        .args(["--header", &format!("Authorization: Bearer {}", owner.token())])
        .args(["--phases", "coverage,fuzzing", "--max-examples", "15", "--seed", "20260301"])
        // One worker: several of them trip over a race in the parser of Python 3.11.
        .args(["--workers", "1", "--request-timeout", "20", "--continue-on-failure", "--no-color"])
        .args(["--report", "junit", "--report-dir"])
        .arg(&reports);
    let (succeeded, printed) = attempt(&mut command);
    let log = scene.log();
    fs::write(reports.join("api.log"), &log).unwrap();
    assert!(succeeded, "{printed}\nReports and the API's log are in {}", reports.display());
    let failed = failed_alone(&scene.document(), &log);
    assert!(
        failed.is_empty(),
        "not one request succeeded of {failed:?}; the API's log is in {}",
        reports.display()
    );
}

/// The operations of which no request succeeded, although one of this kind could: as the API's log tells.
fn failed_alone(document: &Value, log: &str) -> Vec<String> {
    let succeeded = |method: &str, path: &str| {
        let answer = format!("method={} route=\"{path}\" status=2", method.to_uppercase());
        log.lines().any(|line| line.contains(&answer))
    };
    let operations = document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().keys().map(move |method| (method.as_str(), path.as_str()))
    });
    let failed = operations.filter(|(method, path)| !OUT_OF_REACH.contains(path) && !succeeded(method, path));
    failed.map(|(method, path)| format!("{method} {path}")).collect()
}

/// The id of a new room.
fn create_room(api: &Api, token: &str, name: &str, platform: &str) -> String {
    let room = json!({
        "name": name, "platform": platform, "is_locked": false, "room_mode": "normal", "recording_type": "cloud",
        "recording_trigger": "none",
    });
    create(api, token, "/v1/rooms", &room)
}

/// The id of a new API key.
fn create_key(api: &Api, token: &str) -> String {
    create(api, token, "/v1/user/api-keys", &json!({"name": "spare"}))
}

/// The id of what the owner of `token` makes by sending `body` to `path`.
fn create(api: &Api, token: &str, path: &str, body: &Value) -> String {
    let request =
        ureq::post(format!("{}{path}", api.url())).header("Authorization", format!("Bearer {token}"));
    let made: Value = request.send_json(body).unwrap().body_mut().read_json().unwrap();
    made["id"].as_str().unwrap().to_owned()
}

/// The id of an upload that is begun.
fn begin_upload(scene: &Scene, room: &str, name: &str) -> String {
    let request = json!({
        "id": format!("rec_{name}"), "room_name": room, "session_id": name, "file_name": "meeting.mp4",
        "size_bytes": 8_000_000, "sha256": "0".repeat(64), "host": "jibri-1",
    });
    let body = request.to_string();
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let signed = Secrets::one(&scene.secrets.webhook).sign(name, now, body.as_bytes());
    let mut answer = ureq::post(format!("{}/v1/recordings/uploads", scene.api.url()))
        .header("Content-Type", "application/json")
        .header(WEBHOOK_ID, name)
        .header(WEBHOOK_TIMESTAMP, signed.timestamp)
        .header(WEBHOOK_SIGNATURE, signed.standard)
        .send(body)
        .unwrap();
    let begun: Value = answer.body_mut().read_json().unwrap();
    begun["upload_id"].as_str().unwrap_or_else(|| panic!("no upload was begun: {begun}")).to_owned()
}
