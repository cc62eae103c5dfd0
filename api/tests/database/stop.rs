//! A stop while requests are under way.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use contract::signature::{JITSI_SIGNATURE, Secrets};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::deliver;
use crate::load::make_meeting;
use crate::program::{Program, StateDir, WEBHOOK_SECRET};

/// A delivery whose body is only begun, and the rest of it. The program asks for the body (`100 Continue`), so it is at work on it
/// when this returns.
async fn begin(address: SocketAddr, id: &str) -> (TcpStream, String) {
    let event = json!({"id": id, "event": "muc-room-created", "room": "r", "timestamp": 1, "data": {}});
    let body = event.to_string();
    let signature = Secrets::parse(WEBHOOK_SECRET).unwrap().sign(id, 0, body.as_bytes()).jitsi;
    let length = body.len();
    let head = format!(
        "POST /v1/jitsi/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Expect: 100-continue\r\n{JITSI_SIGNATURE}: {signature}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    (stream, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_answered_after_a_stop_and_stalled_ones_do_not_hold_it_up() {
    let state = StateDir::new();
    let program = Program::start(state.path());
    make_meeting(&state).await;
    let (mut prompt, body) = begin(program.address, "evt_1").await;
    let (mut stalled, _) = begin(program.address, "evt_2").await;
    let begun = Instant::now();
    let stop = tokio::task::spawn_blocking(|| program.terminate());

    prompt.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    prompt.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");

    assert_eq!(stop.await.unwrap().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(15), "it took {:?}", begun.elapsed());
    let mut answer = Vec::new();
    // Whether the connection is reset or closed, there is no answer on it.
    let _ = stalled.read_to_end(&mut answer).await;
    assert_eq!(answer, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_last_has_its_receipt_after_a_stop() {
    let state = StateDir::new();
    let program = Program::start(state.path());
    make_meeting(&state).await;
    assert!(deliver(program.address, "evt_1").await.is_some_and(|(status, _)| status == 200));
    assert_eq!(program.terminate().code(), Some(0));

    let _program = Program::start(state.path());
    let mut database = state.connect().await.unwrap();
    let receipts: Vec<(String, String)> =
        sqlx::query_as("SELECT room, verdict FROM reflector.receipt").fetch_all(&mut database).await.unwrap();
    assert_eq!(receipts, [("r".to_owned(), "stored".to_owned())]);
}
