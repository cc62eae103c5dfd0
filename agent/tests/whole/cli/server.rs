//! An API as small as can be: it takes everything, or nothing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use contract::heartbeat;
use contract::problem::{Problem, ProblemCode};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

/// The API, in threads of its own until the test's process ends.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// Whether it answers 503 to everything.
    pub(crate) closed: Arc<AtomicBool>,
    /// Whether it knows no meeting for any room.
    pub(crate) no_meeting: Arc<AtomicBool>,
    /// Whether it refuses every heartbeat's signature.
    pub(crate) shut_out: Arc<AtomicBool>,
    /// The paths and bodies of what it was asked.
    pub(crate) asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Server {
    /// Starts one whose clock is off by so much.
    pub(crate) fn start(off: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            closed: Arc::default(),
            no_meeting: Arc::default(),
            shut_out: Arc::default(),
            asked: Arc::default(),
        };
        let of_thread = server.clone();
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let server = of_thread.clone();
                thread::spawn(move || while server.answer(&connection, off).is_some() {});
            }
        });
        server
    }

    /// What was asked at this path.
    pub(crate) fn at(&self, path: &str) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|(asked, _)| asked == path).map(|(_, body)| body.clone()).collect()
    }

    fn answer(&self, connection: &TcpStream, off: Duration) -> Option<()> {
        let mut reader = BufReader::new(connection);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        let mut length = 0;
        while line.trim_end() != "" {
            line.clear();
            reader.read_line(&mut line).ok()?;
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let closed = self.closed.load(Ordering::SeqCst);
        let now = contract::event::format_timestamp(OffsetDateTime::now_utc() + off);
        let no_meeting = path == "/v1/jitsi/events" && self.no_meeting.load(Ordering::SeqCst);
        let shut_out = path == heartbeat::PATH && self.shut_out.load(Ordering::SeqCst);
        let answer = match path.as_str() {
            _ if shut_out => json!(Problem::new(ProblemCode::SignatureInvalid, "Invalid webhook signature")),
            _ if no_meeting => json!(Problem::new(ProblemCode::MeetingNotFound, "Meeting not found")),
            heartbeat::PATH => json!({ "status": "ok", "server_time": now }),
            "/v1/recordings/uploads" => {
                json!({ "decision": "keep", "reason": "storage_not_configured", "message": "no storage" })
            }
            "/v1/jitsi/health" => json!({
                "status": "ok", "service": "jitsi-webhooks", "timestamp": now, "webhook_secret_configured": true,
            }),
            _ => json!({ "status": "ok", "event": asked["event"], "room": asked["room"] }),
        };
        self.asked.lock().unwrap().push((path, asked));
        let status = match (closed, no_meeting, shut_out) {
            (true, _, _) => "503 Service Unavailable",
            (_, true, _) => "404 Not Found",
            (_, _, true) => "401 Unauthorized",
            _ => "200 OK",
        };
        let answer = answer.to_string();
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", answer.len());
        let mut connection = connection;
        connection.write_all([head.as_bytes(), answer.as_bytes()].concat().as_slice()).ok()
    }
}
