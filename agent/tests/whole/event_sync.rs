//! The listener, as the stock `mod_event_sync_component` and a monitoring system use it.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use agent::event_sync::EventSync;
use agent::listener::{Listener, Site, Token};
use agent::metrics::Counting;
use agent::outbox::model::State;
use agent::outbox::{Limits, Outbox, Writer};
use agent::rooms::Rooms;
use agent::watch::Stop;
use contract::event::Event;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{SECRET, config_file, deliveries, eventually};

const TOKEN: &str = "TOKEN-237958623045";

/// A listener on an outbox of its own.
struct Local {
    directory: TempDir,
    address: SocketAddr,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
    writer: Option<Writer>,
}

impl Local {
    fn start(max_bytes: u64, token: Option<&str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { max_bytes, keep_settled: std::time::Duration::from_hours(1) };
        let (writer, _) = Outbox::open(directory.path(), limits).unwrap();
        let rooms = Rooms::new(&["reflector-*".to_owned()]);
        let site = Site {
            event_sync: EventSync::new(rooms, &["recorder.*".to_owned()], writer.outbox()),
            token: token.map(Token::new),
            outbox: directory.path().to_owned(),
            max_bytes,
            counting: Counting::default(),
            started_at: 1_700_000_000_000,
        };
        let stop = Stop::new().unwrap();
        let listener = Listener::new(([127, 0, 0, 1], 0).into(), site, stop.clone());
        let address = listener.local_address().unwrap();
        let thread = Some(std::thread::spawn(|| listener.run()));
        Self { directory, address, stop, thread, writer: Some(writer) }
    }

    fn post(&self, path: &str, body: &Value) -> u16 {
        status(&exchange(self.address, &post(path, "", body.to_string().as_bytes())))
    }

    fn get(&self, path: &str) -> String {
        exchange(
            self.address,
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes(),
        )
    }

    fn queued(&self) -> Vec<Event> {
        let mut all = deliveries(self.directory.path());
        all.retain(|delivery| delivery.state == State::Ready);
        all.reverse();
        all.iter().map(|delivery| Event::parse(&delivery.body).unwrap()).collect()
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.stop.give();
        if let (Some(thread), Some(writer)) = (self.thread.take(), self.writer.take()) {
            thread.join().unwrap();
            writer.close();
        }
    }
}

/// A request as Prosody's `net.http` writes it: one connection for each.
fn post(path: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:9471\r\nConnection: close\r\nContent-Type: application/json\r\n\
         User-Agent: Prosody (0.12.3; linux)\r\nContent-Length: {}\r\n{more}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn exchange(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn joined(second: u64) -> Value {
    json!({"event_name": "muc-occupant-joined", "room_name": "reflector-a", "room_jid": "reflector-a@conference.x",
        "is_breakout": false, "active_occupants_count": 1,
        "occupant": {"occupant_jid": "14f0@meet.x/Ow", "joined_at": second, "name": "Alice", "id": "u-1"}})
}

#[test]
fn what_the_stock_module_posts_is_queued_once_however_often_it_tries() {
    let site = Local::start(1 << 30, None);
    let room =
        json!({"room_name": "reflector-a", "room_jid": "reflector-a@conference.x", "is_breakout": false});
    let with = |name: &str, more: Value| {
        let mut payload = room.as_object().unwrap().clone();
        payload.insert("event_name".into(), name.into());
        payload.extend(more.as_object().unwrap().clone());
        Value::Object(payload)
    };
    let left = json!({"occupant": {"occupant_jid": "14f0@meet.x/Ow", "joined_at": 2, "left_at": 3}});
    let breakout = json!({"is_breakout": true, "breakout_room_id": "3f0c", "created_at": 4});
    for (path, payload) in [
        ("/events/room/created", with("muc-room-created", json!({"created_at": 1}))),
        ("/events/occupant/joined", joined(2)),
        ("/events/occupant/joined", joined(2)),
        ("/events/occupant/left", with("muc-occupant-left", left)),
        ("/events/room/created", with("muc-room-created", breakout)),
        (
            "/api/v2/events/room/destroyed",
            with("muc-room-destroyed", json!({"destroyed_at": 5, "all_occupants": {}})),
        ),
    ] {
        assert_eq!(site.post(path, &payload), 200, "{path}");
    }
    let events = site.queued();
    let names: Vec<(&str, i64)> =
        events.iter().map(|event| (event.name.as_str(), event.timestamp.unix_timestamp())).collect();
    let expected = [
        ("muc-room-created", 1),
        ("muc-occupant-joined", 2),
        ("muc-occupant-left", 3),
        ("muc-room-created", 4),
        ("muc-room-destroyed", 5),
    ];
    assert_eq!(names, expected);
    assert_eq!(events[3].data["breakout_room_id"], "3f0c");
}

#[test]
fn odd_requests_have_defined_answers_and_disturb_nobody() {
    let site = Local::start(1 << 30, None);
    let silent = TcpStream::connect(site.address).unwrap();
    let mut slow = TcpStream::connect(site.address).unwrap();
    slow.write_all(b"POST /events/room/created HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{").unwrap();
    let huge =
        format!("POST /events/room/created HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", 5 << 20);
    for (request, expected) in [
        (post("/events/room/created", "", b"not JSON"), 422),
        (post("/events/room/created", "", &[0xff; 100]), 422),
        (post("/events/room/created", "", br#"{"created_at": 1}"#), 422),
        (post("/events/room/exploded", "", b"{}"), 404),
        (b"GET /events/room/created HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(), 405),
        (post("/metrics", "", b""), 405),
        (huge.into_bytes(), 413),
        (b"nonsense\r\n\r\n".to_vec(), 400),
    ] {
        let mut stream = TcpStream::connect(site.address).unwrap();
        stream.write_all(&request).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(text[9..].parse::<u16>().unwrap(), expected, "{}", request.escape_ascii());
    }
    // A room that is not Reflector's is acknowledged and goes no further.
    let mut standup = joined(1);
    standup["room_name"] = "standup".into();
    assert_eq!(site.post("/events/occupant/joined", &standup), 200);
    assert_eq!(site.post("/events/occupant/joined", &joined(1)), 200);
    assert_eq!(site.queued().len(), 1);
    // What could not be read waits for a person, whole.
    let mut parked = deliveries(site.directory.path());
    parked.retain(|delivery| delivery.state == State::Parked);
    assert_eq!(parked.len(), 3);
    assert!(parked.iter().any(|delivery| delivery.body == b"not JSON"));
    silent.shutdown(Shutdown::Both).unwrap();
}

#[test]
fn a_token_is_asked_for_when_one_is_set() {
    let site = Local::start(1 << 30, Some(&format!("{TOKEN}\n")));
    let body = joined(1).to_string();
    for (header, expected) in [
        (String::new(), 401),
        ("Authorization: Bearer wrong\r\n".to_owned(), 401),
        (format!("Authorization: Basic {TOKEN}\r\n"), 401),
        (format!("Authorization: Bearer {TOKEN}\r\n"), 200),
    ] {
        let answer = exchange(site.address, &post("/events/occupant/joined", &header, body.as_bytes()));
        assert_eq!(status(&answer), expected, "{header}");
        assert!(!answer.contains(TOKEN));
    }
    assert_eq!(site.queued().len(), 1);
    assert_eq!(status(&site.get("/healthz")), 200, "monitoring needs no token");
}

#[test]
fn a_full_outbox_makes_the_module_try_again_and_the_agent_unhealthy() {
    let site = Local::start(4 << 20, None);
    let refused = (0..1000).find(|second| {
        let mut payload = joined(*second);
        payload["occupant"]["name"] = "x".repeat(100_000).into();
        site.post("/events/occupant/joined", &payload) == 503
    });
    assert!(refused.is_some_and(|second| second > 5), "{refused:?}");
    let health = site.get("/healthz");
    assert!(status(&health) == 503 && health.contains("size cap"), "{health}");
}

#[test]
fn metrics_say_what_waits() {
    let site = Local::start(1 << 30, None);
    assert_eq!(site.post("/events/occupant/joined", &joined(1)), 200);
    assert_eq!(site.post("/events/occupant/joined", &json!({})), 422);
    let metrics = site.get("/metrics");
    for line in [
        "reflector_agent_outbox_items{state=\"ready\"} 1",
        "reflector_agent_outbox_items{state=\"parked\"} 1",
        "reflector_agent_outbox_max_bytes 1073741824",
        "reflector_agent_start_time_seconds 1700000000",
        "# TYPE reflector_agent_attempt_seconds histogram",
        "reflector_agent_attempt_seconds_bucket{le=\"+Inf\"} 0",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line} is not in\n{metrics}");
    }
}

/// The program, killed when it goes out of scope.
struct Program(Child);

impl Program {
    fn start(directory: &Path, port: u16) -> Self {
        let more = "[recordings]\nenabled = false\n";
        let config = config_file(directory, more);
        let child = Command::new(env!("CARGO_BIN_EXE_reflector-agent"))
            .env_clear()
            .env("JITSI_WEBHOOK_SECRET", SECRET)
            .env("REFLECTOR_AGENT__EVENT_SYNC__LISTEN", format!("127.0.0.1:{port}"))
            .args(["--config".as_ref(), config.as_os_str(), "run".as_ref()])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn an_agent_that_is_killed_before_it_answers_has_the_event_once() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("spool")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    for second in 0..5 {
        let agent = Program::start(directory.path(), port);
        let mut stream = eventually("the listener", || TcpStream::connect(address).ok());
        let request = post("/events/occupant/joined", "", joined(second).to_string().as_bytes());
        stream.write_all(&request).unwrap();
        // Nobody knows whether the commit came first.
        drop(agent);
        let _again = Program::start(directory.path(), port);
        let mut stream = eventually("the listener", || TcpStream::connect(address).ok());
        stream.write_all(&request).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(status(&answer), 200);
    }
    assert_eq!(deliveries(&directory.path().join("outbox")).len(), 5);
}
