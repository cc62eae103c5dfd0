//! The commands of the Whereby guide, as they are written there, against the real API and a Whereby on this host.
//!
//! The variables are exactly the guide's. Put in are the hosts' names, the variables that the reader sets, and what the guide marks as a
//! placeholder in its example of an event.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::api::{self, Api};
use testbed::guide::Shell;
use testbed::ports;
use testbed::s3::{BUCKET, S3};
use testbed::secrets::Secrets;
use testbed::sqs::{Moto, Place};
use testbed::wait;
use testbed::whereby::{self, Fault, Person, Whereby};
use time::OffsetDateTime;

/// Somebody who follows the guide.
struct Reader {
    shell: Shell,
    whereby: Whereby,
    s3: S3,
    api: Api,
    client: api::Client,
    directory: TempDir,
}

impl Reader {
    fn new() -> Self {
        Self::with(None)
    }

    /// The same, with a queue that the bucket notifies.
    fn with(queue: Option<&Place>) -> Self {
        let directory = TempDir::with_prefix("reflector-").unwrap();
        // Postgres runs as a user of its own, and must get there.
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        let whereby = Whereby::start().unwrap();
        let s3 = S3::start(&directory.path().join("s3")).unwrap();
        let mut variables = vec![
            ("WHEREBY_API_KEY", whereby.api_key().to_owned()),
            ("WHEREBY_WEBHOOK_SECRET", whereby.webhook_secret().to_owned()),
            ("WHEREBY_API_URL", whereby.url()),
        ];
        variables.extend(s3.whereby_environment());
        variables.extend(queue.map(|queue| ("AWS_PROCESS_RECORDING_QUEUE_URL", queue.queue_url())));
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
        Self { shell, whereby, s3, api, client, directory }
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
        (&json!(BUCKET), &json!(reader.s3.whereby_keys().access_key))
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
fn the_guides_queue_leads_to_a_link_and_what_its_policy_does_not_allow_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    let moto = Moto::start(directory.path()).unwrap();
    let queue = moto.place("guide").unwrap();
    let reader = Reader::with(Some(&queue));
    reader.make_room();
    let meeting = reader.client.create_meeting("my-whereby-room").unwrap();
    let key = whereby::key_of(&meeting.room_name, OffsetDateTime::now_utc(), "mp4");
    whereby::put(&reader.s3, &key, b"film").unwrap();
    let told = json!({"Records": [{
        "eventName": "ObjectCreated:CompleteMultipartUpload",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key.replace(':', "%3A"), "size": 4}},
    }]});
    queue.say(&told.to_string()).unwrap();
    let mut link = None;
    let found = wait::eventually(Duration::from_secs(30), || {
        let record = reader.client.meeting(&meeting.id).unwrap();
        link = record["recordings"][0]["files"][0]["download_url"].as_str().map(ToOwned::to_owned);
        link.is_some()
    });
    assert!(found, "{}", reader.log());
    let mut film = ureq::get(&link.unwrap()).call().unwrap();
    assert_eq!(film.body_mut().read_to_vec().unwrap(), b"film");
    let refused =
        wait::eventually(Duration::from_secs(30), || reader.log().contains("is not looked through"));
    assert!(refused, "{}", reader.log());
    let lines: Vec<_> =
        reader.log().lines().filter(|line| line.contains("s3:ListBucket")).map(str::to_owned).collect();
    assert!(lines.len() == 1 && lines[0].contains("AWS_WHEREBY_ACCESS_KEY_ID"), "{lines:?}");
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
