//! A receiver of webhooks, on a real socket.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use contract::signature::{Presented, Secrets};
use http::{HeaderMap, StatusCode, Uri};
use serde_json::Value;
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::support::wait;

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
    pub(crate) body: Value,
}

/// How a call is answered.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    /// With this header.
    With(u16, &'static str, String),
    /// Never.
    Silence,
}

/// It takes everything, unless told otherwise for a path.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    parts: Parts,
}

#[derive(Clone, Default)]
struct Parts {
    calls: Arc<Mutex<Vec<Call>>>,
    replies: Arc<Mutex<BTreeMap<String, VecDeque<Reply>>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, parts) = (listener.local_addr().unwrap(), Parts::default());
        let router = Router::new().fallback(take).with_state(parts.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, parts }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next call of this path is answered like this. Several wait in a line.
    pub(crate) fn reply(&self, path: &str, reply: Reply) {
        self.parts.replies.lock().unwrap().entry(path.to_owned()).or_default().push_back(reply);
    }

    pub(crate) fn calls(&self, path: &str) -> Vec<Call> {
        self.parts.calls.lock().unwrap().iter().filter(|call| call.path == path).cloned().collect()
    }

    /// The calls of a path, once there are so many.
    pub(crate) async fn receive(&self, path: &str, count: usize) -> Vec<Call> {
        wait::until(&format!("{count} webhooks at {path}"), async || {
            Some(self.calls(path)).filter(|calls| calls.len() >= count)
        })
        .await
    }
}

impl Call {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Panics unless both signatures are those of `secret`.
    pub(crate) fn verify(&self, secret: &str) {
        let secrets = Secrets::one(secret);
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let presented = Presented {
            jitsi: None,
            id: Some(self.header("webhook-id")),
            timestamp: Some(self.header("webhook-timestamp")),
            standard: Some(self.header("webhook-signature")),
        };
        assert_eq!(secrets.verify(presented, &self.bytes, now, true), Ok(()));
        let signed_at = self.header("webhook-timestamp").parse().unwrap();
        assert_eq!(self.header("x-webhook-signature"), secrets.sign_for_room(signed_at, &self.bytes));
    }
}

async fn take(
    State(parts): State<Parts>,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> (StatusCode, HeaderMap, String) {
    let path = uri.path().to_owned();
    let body = serde_json::from_slice(&bytes).unwrap_or_default();
    parts.calls.lock().unwrap().push(Call { path: path.clone(), headers, bytes, body });
    let reply = parts.replies.lock().unwrap().get_mut(&path).and_then(VecDeque::pop_front);
    let mut headers = HeaderMap::new();
    let status = match reply.unwrap_or(Reply::Status(200)) {
        Reply::Status(status) => status,
        Reply::With(status, name, value) => {
            headers.insert(name, value.parse().unwrap());
            status
        }
        Reply::Silence => std::future::pending().await,
    };
    (StatusCode::from_u16(status).unwrap(), headers, format!("answered {status}"))
}
