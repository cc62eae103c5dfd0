//! The commands of the Whereby guide, as they are written there, against the real API and a Whereby on this host.
//!
//! The variables are exactly the guide's. Put in are the hosts' names, the variables that the reader sets, and what the guide marks as a
//! placeholder in its example of an event.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::api::{self, Api};
use testbed::guide::Shell;
use testbed::ports;
use testbed::secrets::Secrets;
use testbed::whereby::{Fault, Person, Whereby};

/// The bucket that the guide has created.
const BUCKET: &str = "our-whereby-recordings";

/// Somebody who follows the guide.
struct Reader {
    shell: Shell,
    whereby: Whereby,
    api: Api,
    client: api::Client,
    directory: TempDir,
}

impl Reader {
    fn new() -> Self {
        let directory = TempDir::with_prefix("reflector-").unwrap();
        // Postgres runs as a user of its own, and must get there.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let whereby = Whereby::start().unwrap();
        let variables = vec![
            ("WHEREBY_API_KEY", whereby.api_key().to_owned()),
            ("WHEREBY_WEBHOOK_SECRET", whereby.webhook_secret().to_owned()),
            ("AWS_WHEREBY_ACCESS_KEY_ID", "AKIAEXAMPLE0WHEREBY0".to_owned()),
            ("AWS_WHEREBY_ACCESS_KEY_SECRET", "vI2mZc0Qw9LrT5xK7bN1sE8uY4hJ6gF3dA0pOoPq".to_owned()),
            ("RECORDING_STORAGE_AWS_BUCKET_NAME", BUCKET.to_owned()),
            ("WHEREBY_API_URL", whereby.url()),
        ];
        let log = directory.path().join("api.log");
        let state = directory.path().join("api");
        let secrets = Secrets::random().unwrap();
        let api = Api::start(&state, &log, ports::free().unwrap(), &secrets, variables.clone()).unwrap();
        let client = api.client("demo").unwrap();
        let placeholders = vec![
            ("https://your-reflector-domain.com", api.url()),
            ("https://api.whereby.dev/v1", whereby.url()),
        ];
        let own = [("AUTH_TOKEN", client.token().to_owned())];
        let shell = Shell { placeholders, variables: variables.into_iter().chain(own).collect() };
        Self { shell, whereby, api, client, directory }
    }

    /// Makes the guide's room with the guide's command.
    fn make_room(&self) -> Value {
        let made = self.shell.answer(
            r#"curl -X POST "https://your-reflector-domain.com/v1/rooms" \
-H "Content-Type: application/json" \
-H "Authorization: Bearer $AUTH_TOKEN" \
-d '{
"name": "my-whereby-room",
"platform": "whereby",
"recording_type": "cloud",
"recording_trigger": "automatic-2nd-participant",
"is_locked": false,
"room_mode": "normal"
}'"#,
        );
        made.unwrap()
    }

    /// The guide's example of an event about this meeting, with the members that Whereby sends besides.
    fn joined(&self, meeting: &str, secret: &str) -> Value {
        let command = r#"PAYLOAD='{"apiVersion":"1.0","id":"EVENT_ID","createdAt":"2026-01-15T10:30:00.000Z",
"type": "room.client.joined",
"data": {
"meetingId": "room-uuid",
"numClients": 2
}}'
TIME=$(date +%s)
SIGNATURE=$(echo -n "$TIME.$PAYLOAD" | openssl dgst -sha256 -hmac "SECRET" | cut -d' ' -f2)
curl -s -X POST "https://your-reflector-domain.com/v1/whereby" \
-H "Content-Type: application/json" \
-H "Whereby-Signature: t=$TIME,v1=$SIGNATURE" \
-d "$PAYLOAD""#;
        let command = command
            .replace("EVENT_ID", &format!("guide-{meeting}"))
            .replace("room-uuid", meeting)
            .replace("SECRET", secret);
        self.shell.answer(&command).unwrap()
    }

    /// How many participants the room's meeting has.
    fn participants(&self) -> Value {
        let list = self.shell.answer(
            r#"curl -s "https://your-reflector-domain.com/v1/rooms/my-whereby-room/meetings/active""#,
        );
        list.unwrap()[0]["num_clients"].clone()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("api.log")).unwrap()
    }
}

#[test]
fn the_guides_variables_and_commands_make_a_meeting_that_is_recorded_into_the_bucket() {
    let reader = Reader::new();
    let room = reader.make_room();
    assert_eq!((&room["name"], &room["platform"]), (&json!("my-whereby-room"), &json!("whereby")));

    let health = reader.shell.answer(
        r"# Check webhook endpoint health
curl https://your-reflector-domain.com/v1/whereby/health",
    );
    let health = health.unwrap();
    assert_eq!((&health["status"], &health["webhook_secret_configured"]), (&json!("ok"), &json!(true)));

    let meeting = reader.client.create_meeting("my-whereby-room").unwrap();
    assert!(meeting.room_url.contains("whereby.com/my-whereby-room-"), "{meeting:?}");
    assert!(meeting.host_room_url.contains("?roomKey="), "the owner is host");
    let calls = reader.whereby.calls();
    let made = calls.iter().find(|call| call.what == "POST /v1/meetings").unwrap();
    let recording = &made.body["recording"];
    assert_eq!(
        (&recording["type"], &recording["startTrigger"]),
        (&json!("cloud"), &json!("automatic-2nd-participant"))
    );
    let destination = &recording["destination"];
    assert_eq!(
        (&destination["bucket"], &destination["accessKeyId"]),
        (&json!(BUCKET), &json!("AKIAEXAMPLE0WHEREBY0"))
    );

    let listed = reader.shell.answer(
        r#"# Test Whereby API connectivity
curl -H "Authorization: Bearer $WHEREBY_API_KEY" \
https://api.whereby.dev/v1/meetings"#,
    );
    assert!(listed.unwrap().to_string().contains(&meeting.id), "the key is good, and the meeting is there");
}

#[test]
fn the_guides_event_updates_the_participant_count_and_a_wrong_secret_does_not() {
    let reader = Reader::new();
    reader.make_room();
    let meeting = reader.client.create_meeting("my-whereby-room").unwrap();
    assert_eq!(reader.participants(), 0);
    let refused = reader.joined(&meeting.id, "not-the-dashboard-s-secret");
    assert_eq!((&refused["status"], &refused["detail"]), (&json!(401), &json!("Invalid webhook signature")));
    assert_eq!(reader.participants(), 0);

    assert_eq!(reader.joined(&meeting.id, "$WHEREBY_WEBHOOK_SECRET"), json!({"status": "ok"}));
    assert_eq!(reader.participants(), 2);
    let elsewhere = reader.joined("a-meeting-of-somebody-else", "$WHEREBY_WEBHOOK_SECRET");
    assert_eq!(elsewhere, json!({"status": "ok"}), "Whereby is not told to try again");
}

#[test]
fn what_whereby_itself_sends_is_taken() {
    let reader = Reader::new();
    reader.make_room();
    let meeting = reader.client.create_meeting("my-whereby-room").unwrap();
    let url = format!("{}/v1/whereby", reader.api.url());
    let events = reader.whereby.join(&meeting.room_name, &Person::new("p-1", "Žofie", "visitor")).unwrap();
    for event in &events {
        assert_eq!(reader.whereby.send(&url, event).unwrap().wait(), [Some(200)]);
    }
    assert_eq!(reader.participants(), 1);
    let record = reader.client.meeting(&meeting.id).unwrap();
    assert_eq!(record["participants"][0]["display_name"], "Žofie");
}

#[test]
fn a_key_that_whereby_refuses_is_said_with_the_variable_to_look_at() {
    let reader = Reader::new();
    reader.make_room();
    reader.whereby.fail("POST /v1/meetings", Fault::Status(401));
    let refused = reader.shell.answer(
        r#"curl -s -X POST "https://your-reflector-domain.com/v1/rooms/my-whereby-room/meeting" -d '{}' \
-H "Content-Type: application/json" -H "Authorization: Bearer $AUTH_TOKEN""#,
    );
    let refused = refused.unwrap();
    assert_eq!(refused["status"], 503, "{refused:#}");
    assert!(!refused.to_string().contains(reader.whereby.api_key()), "{refused:#}");
    let log = reader.log();
    assert!(log.contains("WHEREBY_API_KEY") && !log.contains(reader.whereby.api_key()), "{log}");
}
