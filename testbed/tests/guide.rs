//! The commands of the Jitsi guide, as they are written there, against the real API.
//!
//! Only what the guide itself marks as a placeholder is put in: the host's name, the variables that hold the token and the
//! secret, and the id of the meeting.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::guide::{self, Shell};
use testbed::stack::Stack;
use testbed::wait::eventually;

/// A stack that the guide's commands can be run against.
struct Reader {
    stack: Stack,
    shell: Shell,
    directory: TempDir,
}

impl Reader {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stack = Stack::start_anywhere(directory.path()).unwrap();
        guide::prepare(&stack).unwrap();
        let token = stack.client.token().to_owned();
        let shell = Shell {
            placeholders: vec![
                ("https://your-reflector-domain.com", stack.api.url()),
                ("your-webhook-secret-here", stack.secrets.webhook.clone()),
                ("{meeting-id}", guide::EXAMPLE_MEETING.to_owned()),
            ],
            variables: vec![
                ("AUTH_TOKEN", token.clone()),
                ("TOKEN", token),
                ("JITSI_WEBHOOK_SECRET", stack.secrets.webhook.clone()),
                ("REFLECTOR_API_URL", stack.api.url()),
            ],
        };
        Self { stack, shell, directory }
    }

    /// Runs a command of the guide and returns what it prints and what curl says beside it.
    fn run(&self, command: &str) -> (String, String) {
        let said = self.shell.run(command).unwrap();
        (said.out, said.error)
    }

    /// The JSON that a command of the guide prints.
    fn answer(&self, command: &str) -> Value {
        self.shell.answer(command).unwrap()
    }

    fn query(&self, statement: &str) -> String {
        self.stack.api.sql(statement).unwrap().trim().to_owned()
    }
}

#[test]
fn the_guides_commands_give_the_guides_answers() {
    let reader = Reader::new();

    let health = reader.answer(r#"curl "https://your-reflector-domain.com/v1/jitsi/health""#);
    assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("jitsi-webhooks")));
    assert_eq!(health["webhook_secret_configured"], true);
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));

    let room = reader.answer(
        r#"curl -X POST "https://your-reflector-domain.com/v1/rooms" \
-H "Content-Type: application/json" \
-H "Authorization: Bearer $AUTH_TOKEN" \
-d '{
"name": "my-jitsi-room",
"platform": "jitsi",
"recording_type": "cloud",
"recording_trigger": "automatic-2nd-participant",
"is_locked": false,
"room_mode": "normal"
}'"#,
    );
    assert_eq!((&room["name"], &room["platform"]), (&json!("my-jitsi-room"), &json!("jitsi")));
    assert_eq!(room["recording_trigger"], "automatic-2nd-participant");

    let meeting = reader.answer(
        r#"curl -X POST "https://your-reflector-domain.com/v1/rooms/my-jitsi-room/meeting" \
-H "Authorization: Bearer $AUTH_TOKEN""#,
    );
    let room_name = meeting["room_name"].as_str().unwrap();
    assert!(room_name.starts_with("reflector-my-jitsi-room-"), "{room_name}");
    for member in ["room_url", "host_room_url"] {
        let url = meeting[member].as_str().unwrap();
        assert!(url.starts_with(&format!("https://meet.test/{room_name}?jwt=")), "{url}");
    }

    let (said, _) = reader.run(
        r#"# Create a test meeting
MEETING=$(curl -X POST "https://your-reflector-domain.com/v1/rooms/test-room/meeting" \
-H "Authorization: Bearer $AUTH_TOKEN" | jq -r '.room_url')
echo "Test meeting URL: $MEETING""#,
    );
    assert!(said.starts_with("Test meeting URL: https://meet.test/reflector-test-room-"), "{said}");

    let (_, said) = reader.run(
        r#"# Test JWT generation
curl -X POST "https://your-reflector-domain.com/v1/rooms/test/meeting" \
-H "Authorization: Bearer $TOKEN" -v"#,
    );
    assert!(said.contains("200 OK"), "{said}");
}

#[test]
fn the_guides_events_are_accepted_stored_and_found_again() {
    let reader = Reader::new();

    let event = reader.answer(
        r#"# Generate proper signature
PAYLOAD='{"event":"muc-occupant-joined","room":"reflector-test-room-uuid","timestamp":"2025-01-15T10:30:00.000Z","data":{"user_id":"test-user","display_name":"Test User"}}'
SIGNATURE=$(echo -n "$PAYLOAD" | openssl dgst -sha256 -hmac "$JITSI_WEBHOOK_SECRET" | cut -d' ' -f2)
curl -X POST "https://your-reflector-domain.com/v1/jitsi/events" \
-H "Content-Type: application/json" \
-H "X-Jitsi-Signature: $SIGNATURE" \
-d "$PAYLOAD""#,
    );
    assert_eq!(
        event,
        json!({ "status": "ok", "event": "muc-occupant-joined", "room": "reflector-test-room-uuid" })
    );

    let recording = reader.answer(
        r#"PAYLOAD='{"room_name":"reflector-test-room-uuid","recording_file":"/recordings/test.mp4","recording_status":"completed","timestamp":"2025-01-15T10:30:00.000Z"}'
SIGNATURE=$(echo -n "$PAYLOAD" | openssl dgst -sha256 -hmac "$JITSI_WEBHOOK_SECRET" | cut -d' ' -f2)
curl -X POST "https://your-reflector-domain.com/v1/jibri/recording-complete" \
-H "Content-Type: application/json" \
-H "X-Jitsi-Signature: $SIGNATURE" \
-d "$PAYLOAD""#,
    );
    assert_eq!(
        (&recording["status"], &recording["room_name"]),
        (&json!("ok"), &json!("reflector-test-room-uuid"))
    );
    assert_eq!(recording["recording_file"], "/recordings/test.mp4");

    let meeting = reader.answer(
        r#"# Check meeting events via API (requires authentication)
curl -H "Authorization: Bearer $AUTH_TOKEN" \
"https://your-reflector-domain.com/v1/meetings/{meeting-id}""#,
    );
    let types: Vec<&str> =
        meeting["events"].as_array().unwrap().iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["muc-occupant-joined", "recording_completed"]);
    assert_eq!(meeting["participants"][0]["display_name"], "Test User");

    let stored: Vec<Value> =
        serde_json::from_str(&reader.query("SELECT events FROM meeting WHERE id = 'meeting-uuid'")).unwrap();
    assert_eq!(stored[0]["type"], "muc-occupant-joined");
    assert_eq!(stored[0]["data"]["user_id"], "test-user");
    assert_eq!(stored[0]["data"]["display_name"], "Test User");
    assert!(stored[0]["data"]["timestamp"].as_str().unwrap().starts_with("2025-01-15T10:30:00"));
    let joins = reader.query(
        r#"SELECT json_array_length(
json_extract(events, '$[*] ? (@.type == "muc-occupant-joined")')
) as total_joins FROM meeting WHERE id = 'meeting-uuid';"#,
    );
    assert_eq!(joins, "1");
}

#[test]
fn the_guides_signature_debugging_shows_a_signature_that_the_api_accepts() {
    let reader = Reader::new();
    let (out, said) = reader.run(
        r#"# Test signature manually
PAYLOAD='{"event":"test","room":"test","timestamp":"2025-01-15T10:30:00.000Z","data":{}}'
SECRET="your-webhook-secret-here"
# Generate signature (should match X-Jitsi-Signature header)
echo -n "$PAYLOAD" | openssl dgst -sha256 -hmac "$SECRET" | cut -d' ' -f2
# Test with curl
curl -X POST "https://your-reflector-domain.com/v1/jitsi/events" \
-H "Content-Type: application/json" \
-H "X-Jitsi-Signature: $(echo -n "$PAYLOAD" | openssl dgst -sha256 -hmac "$SECRET" | cut -d' ' -f2)" \
-d "$PAYLOAD" -v"#,
    );
    let signature = out.lines().next().unwrap();
    assert!(
        signature.len() == 64 && said.contains(&format!("X-Jitsi-Signature: {signature}")),
        "{out}\n{said}"
    );
    assert!(said.contains("200 OK"), "{said}");

    let (status, _) = reader.run(
        r#"curl -s -o /dev/null -w '%{http_code}' -X POST "https://your-reflector-domain.com/v1/jitsi/events" \
-H "Content-Type: application/json" -H "X-Jitsi-Signature: 0000" -d '{}'"#,
    );
    assert_eq!(status, "401");
    // The guide reads the log for what concerns jitsi.
    let log = reader.directory.path().join("api.log");
    let tells = |line: &str| line.contains("/v1/jitsi/events") && line.contains("401");
    let told = eventually(Duration::from_secs(5), || fs::read_to_string(&log).unwrap().lines().any(tells));
    assert!(told, "{}", fs::read_to_string(&log).unwrap());
}

#[test]
fn the_guides_finalize_script_reports_its_recording() {
    let reader = Reader::new();
    let (said, _) = reader.run(
        r#"set -- /var/recordings/rec-789.mp4 reflector-test-room-uuid
# Jibri finalize script for Reflector integration
RECORDING_FILE="$1"
ROOM_NAME="$2"
REFLECTOR_API_URL="${REFLECTOR_API_URL:-http://localhost:1250}"
# Prepare webhook payload
TIMESTAMP=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
PAYLOAD=$(cat <<EOF
{
"room_name": "$ROOM_NAME",
"recording_file": "$RECORDING_FILE",
"recording_status": "completed",
"timestamp": "$TIMESTAMP"
}
EOF
)
# Generate signature
SIGNATURE=$(echo -n "$PAYLOAD" | openssl dgst -sha256 -hmac "$JITSI_WEBHOOK_SECRET" | cut -d' ' -f2)
# Send webhook to Reflector
curl -X POST "$REFLECTOR_API_URL/v1/jibri/recording-complete" \
-H "Content-Type: application/json" \
-H "X-Jitsi-Signature: $SIGNATURE" \
-d "$PAYLOAD"
echo "Recording finalization webhook sent for room: $ROOM_NAME""#,
    );
    assert!(said.contains(r#""status":"ok""#), "{said}");
    assert!(
        said.ends_with("Recording finalization webhook sent for room: reflector-test-room-uuid\n"),
        "{said}"
    );
    let file = reader.query("SELECT file FROM reflector.recording WHERE meeting_id = 'meeting-uuid'");
    assert_eq!(file, "/var/recordings/rec-789.mp4");
}

#[test]
fn the_guides_debug_commands_show_what_they_promise() {
    let reader = Reader::new();
    let (_, said) = reader.run(
        r#"# Test from Jitsi server
curl -v "https://your-reflector-domain.com/v1/jitsi/health""#,
    );
    assert!(said.contains("200 OK"), "{said}");

    let meeting = reader.answer(
        r#"# Check meeting exists
curl -H "Authorization: Bearer $TOKEN" \
"https://your-reflector-domain.com/v1/meetings/{meeting-id}""#,
    );
    assert_eq!(meeting["id"], guide::EXAMPLE_MEETING);

    let token = reader.stack.client.create_meeting("test-room").unwrap().host_room_url;
    let (_, token) = token.split_once("?jwt=").unwrap();
    let decode = r#"# Decode JWT payload
echo "JWT_TOKEN_HERE" | cut -d'.' -f2 | base64 -d | jq"#;
    let claims = reader.answer(&decode.replace("JWT_TOKEN_HERE", token));
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!("reflector"), &json!("jitsi")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 8 * 3600);

    let queries = reader.query("SELECT * FROM pg_stat_activity WHERE query LIKE '%meeting%';");
    assert!(queries.contains("reflector-api") && queries.contains("-- meetings."), "{queries}");
}

#[test]
fn a_meeting_that_cannot_be_created_is_explained() {
    let reader = Reader::new();
    let (said, _) = reader.run(
        r#"curl -s -X POST "https://your-reflector-domain.com/v1/rooms/nowhere/meeting" \
-H "Authorization: Bearer $TOKEN""#,
    );
    let problem: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("room_not_found"), &json!("Room not found")));
    assert!(problem["request_id"].is_string(), "the log has the rest under this id: {problem}");
}
