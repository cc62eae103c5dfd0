//! A Jitsi host over a real connection.

use bytes::Bytes;
use contract::signature::{JITSI_SIGNATURE, Secrets};
use http::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::TcpStream;

use crate::program::WEBHOOK_SECRET;

/// Delivers one event on a connection of its own; the status and whether there was a `Retry-After`. `None` when there was no
/// answer at all.
pub(crate) async fn deliver(address: SocketAddr, id: &str) -> Option<(StatusCode, bool)> {
    let event =
        json!({"id": id, "event": "muc-occupant-joined", "room": "r", "timestamp": 1, "data": {"nick": id}});
    let body = event.to_string();
    let signature = Secrets::parse(WEBHOOK_SECRET).unwrap().sign(id, 0, body.as_bytes()).jitsi;
    let request = Request::post("/v1/jitsi/events")
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .header(JITSI_SIGNATURE, signature)
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    send(address, request).await
}

/// The answer of `GET /health`.
pub(crate) async fn health(address: SocketAddr) -> Option<StatusCode> {
    let request = Request::get("/health").header(HOST, "localhost").body(Full::default()).unwrap();
    send(address, request).await.map(|(status, _)| status)
}

async fn send(address: SocketAddr, request: Request<Full<Bytes>>) -> Option<(StatusCode, bool)> {
    let stream = TcpStream::connect(address).await.ok()?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await.ok();
    connection.abort();
    response.map(|response| (response.status(), response.headers().contains_key(RETRY_AFTER)))
}
