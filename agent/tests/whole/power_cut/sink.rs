//! An API that holds what it is sent, as small as can be.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use contract::batch::{BatchReply, EventResult, EventStatus};
use contract::event::Label;
use serde_json::json;

/// The ids of each room in the order of their first arrival.
pub(super) type Held = BTreeMap<String, Vec<String>>;

/// The API. It ends with the test's process.
pub(super) struct Sink {
    pub(super) address: SocketAddr,
    held: Arc<Mutex<Held>>,
}

impl Sink {
    /// An API that holds this already.
    pub(super) fn start(held: Held) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let held = Arc::new(Mutex::new(held));
        let shared = Arc::clone(&held);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let held = Arc::clone(&shared);
                // A client that is killed breaks its connection.
                std::thread::spawn(move || drop(serve(&client, &held)));
            }
        });
        Self { address, held }
    }

    pub(super) fn held(&self) -> Held {
        self.held.lock().unwrap().clone()
    }
}

fn serve(client: &TcpStream, held: &Mutex<Held>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let answer = answer(&body, &mut held.lock().unwrap());
        write!(&*client, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{answer}", answer.len())?;
    }
}

fn answer(body: &[u8], held: &mut Held) -> String {
    let lines: Vec<Label> = body
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .filter_map(|line| Label::parse(line).ok())
        .collect();
    let results: Vec<EventResult> = lines
        .into_iter()
        .map(|label| {
            let id = label.id.unwrap().as_str().to_owned();
            let room = held.entry(label.room.as_str().to_owned()).or_default();
            let status = if room.contains(&id) { EventStatus::Duplicate } else { EventStatus::Stored };
            if status == EventStatus::Stored {
                room.push(id.clone());
            }
            EventResult { id, status, code: None, detail: None }
        })
        .collect();
    match &results[..] {
        [_] => json!({"status": "ok", "event": "e", "room": "r"}).to_string(),
        _ => serde_json::to_string(&BatchReply { results }).unwrap(),
    }
}
