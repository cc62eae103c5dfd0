//! Events that reach the API through the stock `mod_event_sync_component` and the agent's listener.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testbed::meeting::{Invitation, Meeting};
use testbed::prosody::{BREAKOUT, CONFERENCE, DOMAIN};
use testbed::stack::Stack;
use testbed::wait::eventually;

const SOON: Duration = Duration::from_mins(1);
const SESSION: &str = "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21";

/// The events of a meeting as `name|source|user's name`, in the order of storing.
fn stored(stack: &Stack, meeting: &str) -> Vec<String> {
    let statement = format!(
        "SELECT concat_ws('|', name, data->>'source', data->>'display_name') FROM reflector.meeting_event
         WHERE meeting_id = '{meeting}' ORDER BY position"
    );
    stack.api.sql(&statement).unwrap().lines().map(str::to_owned).collect()
}

/// Posts as Prosody's `net.http` does: a connection for each request. Returns the status.
fn post(stack: &Stack, path: &str, payload: &Value) -> u16 {
    let body = payload.to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", stack.agent.listener())).unwrap();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: Prosody (0.12.3; linux)\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_replay_of_the_stock_modules_requests_becomes_a_meeting_with_its_people() {
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start_anywhere(directory.path()).unwrap();
    stack.client.ensure_room("daily").unwrap();
    let meeting = stack.client.create_meeting("daily").unwrap();
    let room = |breakout: Option<&str>, more: Value| {
        let mut payload = json!({"room_name": meeting.room_name, "room_jid": format!("{}@{CONFERENCE}", meeting.room_name),
            "is_breakout": breakout.is_some()});
        let members = payload.as_object_mut().unwrap();
        members.extend(breakout.map(|id| ("breakout_room_id".to_owned(), id.into())));
        members.extend(more.as_object().unwrap().clone());
        payload
    };
    let alice = json!({"occupant_jid": format!("14f0@{DOMAIN}/Ow"), "name": "Alice", "id": "u-1", "joined_at": 1_760_000_001});
    let recorder =
        json!({"occupant_jid": "recorder@recorder.meet.example.com/x", "joined_at": 1_760_000_002});
    let gone = |occupant: &Value, at: u64| {
        let mut occupant = occupant.clone();
        occupant["left_at"] = at.into();
        occupant
    };
    let (created, destroyed) = ("/events/room/created", "/events/room/destroyed");
    let (joined, left) = ("/events/occupant/joined", "/events/occupant/left");
    let everybody = json!([gone(&alice, 1_760_000_009), gone(&recorder, 1_760_000_008)]);
    for (path, payload) in [
        (created, room(None, json!({"event_name": "muc-room-created", "created_at": 1_760_000_000}))),
        (joined, room(None, json!({"occupant": alice, "active_occupants_count": 1}))),
        (joined, room(None, json!({"occupant": recorder, "active_occupants_count": 2}))),
        (joined, room(Some("b-1"), json!({"occupant": alice, "active_occupants_count": 1}))),
        (
            left,
            room(Some("b-1"), json!({"occupant": gone(&alice, 1_760_000_005), "active_occupants_count": 0})),
        ),
        (left, room(None, json!({"occupant": gone(&recorder, 1_760_000_008), "active_occupants_count": 1}))),
        // It runs its requests at the same time, so that the end may come first; and it tries again.
        (destroyed, room(None, json!({"destroyed_at": 1_760_000_010, "all_occupants": everybody}))),
        (left, room(None, json!({"occupant": gone(&alice, 1_760_000_009), "active_occupants_count": 0}))),
        (left, room(None, json!({"occupant": gone(&alice, 1_760_000_009), "active_occupants_count": 0}))),
    ] {
        assert_eq!(post(&stack, path, &payload), 200, "{payload}");
    }
    let all_are_stored = eventually(SOON, || stored(&stack, &meeting.id).len() == 8);
    assert!(all_are_stored, "{:?}", stored(&stack, &meeting.id));
    let folded = stack.client.meeting(&meeting.id).unwrap();
    let people: Vec<&Value> = folded["participants"].as_array().unwrap().iter().collect();
    let main: Vec<&&Value> = people.iter().filter(|one| one["breakout_room_id"].is_null()).collect();
    let alice = main.iter().find(|one| one["display_name"] == "Alice").unwrap();
    assert_eq!(alice["user_id"], "u-1");
    assert_eq!(alice["left_at"], "2025-10-09T08:53:29Z", "{alice}");
    assert!(main.iter().any(|one| one["kind"] == "recorder"), "{main:?}");
    assert_eq!(people.len(), 3, "{people:?}");
    // What was counted is what the delivery log holds: these eight, and the boots of our own module.
    let delivered = || {
        let status: Value = serde_json::from_str(&stack.agent.ask(&["status", "--json"]).unwrap()).unwrap();
        status["delivered_total"].as_u64()
    };
    let they_agree = eventually(SOON, || {
        let counted = metric(&stack, "reflector_agent_items_settled_total");
        counted >= Some(8) && counted == delivered()
    });
    assert!(they_agree, "{:?} {:?}", metric(&stack, "reflector_agent_items_settled_total"), delivered());
    assert_eq!(metric(&stack, "reflector_agent_event_sync_requests_total{status=\"200\"}"), Some(9));
}

/// One number that the agent's metrics tell.
fn metric(stack: &Stack, name: &str) -> Option<u64> {
    let mut stream = TcpStream::connect(("127.0.0.1", stack.agent.listener())).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

/// The stock module is not part of this project: whoever has it names its file.
#[expect(clippy::print_stderr, reason = "whoever reads the test's output should know that it was skipped")]
fn stock_module() -> Option<PathBuf> {
    let path = std::env::var_os("EVENT_SYNC_MODULE").map(PathBuf::from);
    if path.is_none() {
        eprintln!(
            "skipped: set EVENT_SYNC_MODULE to the path of jitsi-contrib's mod_event_sync_component.lua to try the real one"
        );
    }
    path
}

#[test]
fn the_stock_module_itself_reports_a_meeting() {
    let Some(module) = stock_module() else { return };
    let directory = tempfile::tempdir().unwrap();
    let mut stack = Stack::start_anywhere(directory.path()).unwrap();
    let configuration = format!(
        "Component \"esync.{DOMAIN}\" \"event_sync_component\"\n    muc_component = \"{CONFERENCE}\"\n    \
         breakout_component = \"{BREAKOUT}\"\n    muc_mapper_domain_base = \"{DOMAIN}\"\n    \
         api_prefix = \"http://127.0.0.1:{}/api\"\n",
        stack.agent.listener()
    );
    stack.prosody.install(Path::new(&module), &configuration).unwrap();
    // Ours would report the same once more.
    stack.prosody.unload_module().unwrap();
    stack.client.ensure_room("daily").unwrap();
    let meeting = stack.client.create_meeting("daily").unwrap();
    let bob = stack.api.client("bob").unwrap().create_meeting("daily").unwrap();
    let invitation = Invitation {
        room: &meeting.room_name,
        alice: &meeting.host_room_url,
        bob: &bob.room_url,
        session_id: SESSION,
    };
    let held = Meeting::begin(&stack.prosody, &stack.jibri, invitation, &mut |_| Ok(())).unwrap();
    held.end(&mut |_| Ok(())).unwrap();
    let count =
        |events: &[String], start: &str| events.iter().filter(|event| event.starts_with(start)).count();
    let is_over = eventually(SOON, || {
        let events = stored(&stack, &meeting.id);
        count(&events, "muc-room-destroyed|event_sync") == 1
            && count(&events, "muc-occupant-left|event_sync")
                == count(&events, "muc-occupant-joined|event_sync")
    });
    let events = stored(&stack, &meeting.id);
    assert!(is_over, "{events:?}");
    assert_eq!(count(&events, "muc-room-created|event_sync"), 1, "{events:?}");
    assert!(count(&events, "muc-occupant-joined|event_sync") >= 2, "{events:?}");
}
