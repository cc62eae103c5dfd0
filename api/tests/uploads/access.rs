//! Who may upload, and what is no request.

use axum::body::Body;
use contract::signature::{JITSI_SIGNATURE, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use http::header::CONTENT_TYPE;
use http::{Method, Request};
use serde_json::json;
use time::OffsetDateTime;

use crate::scene::{File, PATH, Scene, dated, signed};

#[tokio::test]
async fn nobody_without_the_secret_gets_anything() {
    let scene = Scene::new().await;
    let upload = scene.begin(&File::new("rec_1", 10)).await;
    let own = format!("{PATH}/{upload}");
    for (method, path, body) in [
        (Method::POST, PATH.to_owned(), "{}"),
        (Method::POST, format!("{own}/parts"), r#"{"numbers":[1]}"#),
        (Method::POST, format!("{own}/complete"), "{}"),
        (Method::DELETE, own, ""),
        (Method::POST, "/v1/agents/heartbeat".to_owned(), "{}"),
    ] {
        for signature in [None, Some("00")] {
            let mut request =
                Request::builder().method(&method).uri(&path).header(CONTENT_TYPE, "application/json");
            if let Some(signature) = signature {
                request = request.header(JITSI_SIGNATURE, signature);
            }
            let answer = scene.service.request(request.body(Body::from(body)).unwrap()).await;
            assert_eq!(answer.refusal(), (401, "signature_invalid"), "{method} {path} {signature:?}");
        }
    }
    assert_eq!(scene.state(&upload).await.0, "open");
}

#[tokio::test]
async fn a_request_is_good_for_its_upload_and_for_minutes_whatever_the_setting() {
    let scene = Scene::with(&[("JITSI_REQUIRE_TIMESTAMP", "false")]).await;
    let file = File::new("rec_1", 10);
    let upload = scene.begin(&file).await;
    let other = scene.begin(&File::new("rec_2", 10)).await;
    let own = format!("{PATH}/{upload}");
    let parts = r#"{"numbers":[1],"list_stored":false}"#;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    for (method, path, body) in [
        (Method::POST, PATH.to_owned(), file.offer().to_string()),
        (Method::POST, format!("{own}/parts"), parts.to_owned()),
        (
            Method::POST,
            format!("{own}/complete"),
            json!({"size_bytes": 10, "sha256": file.sha256()}).to_string(),
        ),
        (Method::DELETE, own.clone(), String::new()),
        (Method::POST, "/v1/agents/heartbeat".to_owned(), "{}".to_owned()),
    ] {
        let stale = dated(method.clone(), &path, &body, &upload, now - 330);
        assert_eq!(
            scene.service.request(stale).await.refusal(),
            (401, "timestamp_invalid"),
            "{method} {path}"
        );
        let mut undated = dated(method.clone(), &path, &body, &upload, now);
        for header in [WEBHOOK_ID, WEBHOOK_TIMESTAMP, WEBHOOK_SIGNATURE] {
            undated.headers_mut().remove(header);
        }
        assert_eq!(
            scene.service.request(undated).await.refusal(),
            (401, "timestamp_invalid"),
            "{method} {path}"
        );
        if path.starts_with(&own) {
            let of_another = dated(method.clone(), &path, &body, &other, now);
            let refusal = scene.service.request(of_another).await;
            assert_eq!(refusal.refusal(), (401, "signature_invalid"), "{method} {path}");
        }
    }
    // A request for addresses is none to give the upload up.
    let turned = dated(Method::DELETE, &own, parts, &upload, now);
    assert_eq!(scene.service.request(turned).await.refusal(), (422, "validation_failed"));
    assert_eq!(scene.state(&upload).await.0, "open");
}

#[tokio::test]
async fn what_is_no_request_is_refused_by_name() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 10);
    for (member, value, status, code) in [
        ("id", json!("with blanks"), 422, "validation_failed"),
        ("id", json!(null), 422, "validation_failed"),
        ("room_name", json!("@"), 422, "validation_failed"),
        ("session_id", json!(""), 422, "validation_failed"),
        ("file_name", json!("a\0b"), 422, "validation_failed"),
        ("host", json!("h".repeat(1025)), 422, "validation_failed"),
        ("size_bytes", json!(-1), 422, "validation_failed"),
        ("size_bytes", json!(6 * 1024_u64.pow(4)), 422, "validation_failed"),
        ("sha256", json!("AB"), 422, "validation_failed"),
        ("finished_at", json!("yesterday"), 422, "validation_failed"),
        ("room_name", json!("unknown"), 404, "meeting_not_found"),
    ] {
        let mut offer = file.offer();
        offer[member] = value;
        let answer = scene.service.post(PATH, &offer).await;
        assert_eq!(answer.refusal(), (status, code), "{member}");
    }
    let no_json = scene.service.request(signed(Method::POST, PATH, "nonsense")).await;
    assert_eq!(no_json.refusal(), (422, "json_invalid"));

    let upload = scene.begin(&file).await;
    let parts = |numbers: Vec<u32>| json!({"numbers": numbers, "list_stored": false});
    for numbers in [vec![0], vec![2], vec![70_000], (1..=65).collect()] {
        let answer = scene.service.parts(&upload, &parts(numbers)).await;
        assert_eq!(answer.refusal(), (422, "validation_failed"));
    }
    for unknown in ["upl_0", "nonsense", "upl_..%2f"] {
        assert_eq!(scene.service.parts(unknown, &parts(vec![])).await.refusal(), (404, "upload_not_found"));
        assert_eq!(scene.service.complete(unknown, &file).await.refusal(), (404, "upload_not_found"));
        assert_eq!(scene.service.abort(unknown).await.refusal(), (404, "upload_not_found"));
    }
}

#[tokio::test]
async fn an_address_is_good_for_its_part_and_its_time_alone() {
    let scene = Scene::new().await;
    let file = File::new("rec_1", 10);
    let upload = scene.begin(&file).await;
    let answer = scene.service.parts(&upload, &json!({"numbers": [1], "list_stored": true})).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let answer = answer.ok();
    assert_eq!(answer["stored"], json!([]));
    let url = answer["urls"][0]["url"].as_str().unwrap();
    for (what, changed) in [
        ("another part", url.replace("partNumber=1", "partNumber=2")),
        ("another object", url.replace("cloud_2026", "cloud_2027")),
        ("for longer", url.replace("X-Amz-Expires=900", "X-Amz-Expires=9000")),
    ] {
        assert_ne!(url, changed, "{what}");
        let (status, body) = scene.put_at(&changed, file.bytes.clone()).await;
        assert!(status == 403 && body.contains("SignatureDoesNotMatch"), "{what}: {status} {body}");
    }
    // A service that gives them a second.
    let mut settings = scene.service.storage().settings().clone();
    settings.upload_lifetime = std::time::Duration::from_secs(1);
    let hasty = api::storage::Storage::new(settings).unwrap();
    let (bucket, key, id): (String, String, String) =
        sqlx::query_as("SELECT bucket, object_key, storage_id FROM reflector.upload")
            .fetch_one(&scene.db)
            .await
            .unwrap();
    let place = api::storage::Place { bucket: &bucket, key: &key };
    let short = hasty.part_url(place, &id, 1).unwrap();
    crate::support::wait::until("the address's end", async || {
        let (status, body) = scene.put_at(short.as_str(), file.bytes.clone()).await;
        assert!(status == 200 || status == 403 && body.contains("expired"), "{status} {body}");
        (status == 403).then_some(())
    })
    .await;
}
