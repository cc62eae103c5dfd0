//! The Whereby guide, as it is written: its variables, its room, its webhook, its health check.

use http::Method;
use serde_json::json;
use testbed::whereby::{Event, Whereby};
use time::{Duration, OffsetDateTime};

use crate::app::{App, OWNER};

/// The guide's variables, beside those that the stand-in has values of its own for.
const GUIDE: &[(&str, &str)] = &[
    ("AWS_WHEREBY_ACCESS_KEY_ID", "AKIAGUIDE"),
    ("AWS_WHEREBY_ACCESS_KEY_SECRET", "0a1b2c3d4e5f60718293"),
    ("RECORDING_STORAGE_AWS_BUCKET_NAME", "whereby-recordings"),
];

#[tokio::test]
async fn the_guide_s_room_records_into_the_guide_s_bucket_and_its_webhook_counts() {
    let app = App::with(Whereby::start().unwrap(), GUIDE).await;
    let health = app.replica.ask(Method::GET, None, "/v1/whereby/health", None).await.ok();
    assert_eq!((&health["status"], &health["webhook_secret_configured"]), (&json!("ok"), &json!(true)));

    let room = json!({
        "name": "my-whereby-room",
        "platform": "whereby",
        "recording_type": "cloud",
        "recording_trigger": "automatic-2nd-participant",
        "is_locked": false,
        "room_mode": "normal"
    });
    app.replica.ask(Method::POST, Some(OWNER), "/v1/rooms", Some(&room)).await.ok();
    let path = "/v1/rooms/my-whereby-room/meeting";
    let meeting = app.replica.ask(Method::POST, Some(OWNER), path, None).await.ok();
    let asked = &app.whereby.rooms()[0].asked;
    assert_eq!((&asked["isLocked"], &asked["roomMode"]), (&json!(false), &json!("normal")));
    let recording = json!({
        "type": "cloud",
        "startTrigger": "automatic-2nd-participant",
        "destination": {
            "provider": "s3", "authenticationType": "accessKey", "bucket": "whereby-recordings", "accessKeyId": "AKIAGUIDE",
            "accessKeySecret": "0a1b2c3d4e5f60718293", "fileFormat": "mp4"
        }
    });
    assert_eq!(asked["recording"], recording);

    // The guide's event names a meeting and no room.
    let now = OffsetDateTime::now_utc();
    for (kind, clients, later) in [("room.client.joined", 2, 0), ("room.client.left", 1, 1)] {
        let data = json!({"meetingId": meeting["id"], "numClients": clients});
        app.tell(&Event::new(kind, data, now + Duration::seconds(later))).await.ok();
        let path = format!("/v1/rooms/my-whereby-room/meetings/{}", meeting["id"].as_str().unwrap());
        let seen = app.replica.ask(Method::GET, None, &path, None).await.ok();
        assert_eq!(seen["num_clients"], clients);
    }
}
