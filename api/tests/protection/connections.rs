//! Connections that stall, pile up, or say too much.

use std::net::SocketAddr;
use std::time::Duration;

use api::http::timeouts::Patience;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::app::App;
use crate::support::wait::until;

const SHORT: Duration = Duration::from_millis(300);

const HEALTH: &str = "GET /v1/jitsi/health HTTP/1.1\r\nHost: a\r\n\r\n";

/// Everything that comes until the connection ends.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset ends the connection as well as an orderly close.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn connect(address: SocketAddr, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_off() {
    let address = App::start().await.listen(Patience { head: SHORT, ..Patience::default() }).await;
    let ended = async |what: &str, stream: &mut TcpStream| {
        let end = tokio::time::timeout(Patience::default().head, rest(stream)).await;
        assert!(end.is_ok(), "{what} is still there");
    };
    ended("one that says nothing", &mut connect(address, "").await).await;
    ended("one that has begun", &mut connect(address, "GET / HTTP/1.1\r\nA: b\r\n").await).await;
    let mut second = connect(address, HEALTH).await;
    assert!(second.read(&mut [0; 1024]).await.unwrap() > 0);
    second.write_all(b"GET / HT").await.unwrap();
    ended("one that has begun a second time", &mut second).await;
}

#[tokio::test]
async fn a_pause_between_requests_is_longer_than_that() {
    let address = App::start().await.listen(Patience { head: SHORT, ..Patience::default() }).await;
    let mut stream = connect(address, HEALTH).await;
    let mut buffer = [0; 1024];
    assert!(stream.read(&mut buffer).await.unwrap() > 0);
    tokio::time::sleep(SHORT * 2).await;
    stream.write_all(HEALTH.as_bytes()).await.unwrap();
    let read = stream.read(&mut buffer).await.unwrap();
    assert!(buffer[..read].starts_with(b"HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let address = App::start().await.listen(Patience { idle: SHORT, ..Patience::default() }).await;
    let mut stream = connect(address, HEALTH).await;
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let address = App::start().await.listen(Patience::default()).await;
    let mut stream = connect(address, "GET / HTTP/1.1\r\nHost: a\r\n").await;
    // The server may have enough before all of it is written.
    let _ = stream.write_all(format!("A: {}\r\n\r\n", "b".repeat(300_000)).as_bytes()).await;
    assert!(rest(&mut stream).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn no_more_connections_are_served_at_once_than_configured_and_the_others_wait() {
    let app = App::with(&[("REFLECTOR_API_MAX_CONNECTIONS", "2")]).await;
    let address = app.listen(Patience::default()).await;
    let holders = [connect(address, "GET / HT").await, connect(address, "GET / HT").await];
    let mut waiting =
        connect(address, "GET /v1/jitsi/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let early = tokio::time::timeout(SHORT, waiting.read_u8()).await;
    assert!(early.is_err(), "it was served beside the two");
    drop(holders);
    assert!(rest(&mut waiting).await.starts_with("HTTP/1.1 200 OK"));
}

#[tokio::test]
async fn an_address_that_is_no_proxy_has_its_own_bound() {
    let app = App::with(&[
        ("REFLECTOR_API_TRUSTED_PROXIES", "none"),
        ("REFLECTOR_API_MAX_CONNECTIONS_PER_ADDRESS", "1"),
    ])
    .await;
    let address = app.listen(Patience::default()).await;
    let request = "GET /v1/jitsi/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut first = connect(address, "").await;
    until("a second connection is closed unanswered", async || {
        rest(&mut connect(address, request).await).await.is_empty().then_some(())
    })
    .await;
    first.write_all(request.as_bytes()).await.unwrap();
    assert!(rest(&mut first).await.starts_with("HTTP/1.1 200 OK"));
    until("the place is free again", async || {
        rest(&mut connect(address, request).await).await.starts_with("HTTP/1.1 200 OK").then_some(())
    })
    .await;
}
