//! The server's thread: hyper's HTTP/1 on each connection, and the faults.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::TokioIo;
use time::OffsetDateTime;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::answer::{Answer, Request, answer};
use super::{Call, Fault, State, lock};

/// Serves until the owner is gone; what is under way then is cut off.
pub(super) async fn run(
    listener: std::net::TcpListener,
    state: Arc<Mutex<State>>,
    key: String,
    mut stopped: oneshot::Receiver<()>,
) {
    // Without it nobody is served, which they notice.
    let Ok(listener) = TcpListener::from_std(listener) else { return };
    let key: Arc<str> = key.into();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        // Whoever cannot be accepted, or hangs up, tries again.
        let Ok((stream, _)) = accepted else { continue };
        connections.spawn(serve_connection(stream, Arc::clone(&state), Arc::clone(&key)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, state: Arc<Mutex<State>>, key: Arc<str>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, Arc::clone(&state), Arc::clone(&key)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The connection is cut in place of an answer, or the caller's body broke off.
#[derive(Debug, thiserror::Error)]
#[error("cut without an answer")]
struct Cut;

async fn respond(
    request: hyper::Request<Incoming>,
    state: Arc<Mutex<State>>,
    key: Arc<str>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: text(&head.headers, &AUTHORIZATION),
        content_type: text(&head.headers, &CONTENT_TYPE),
        body: body.to_vec(),
    };
    let (answer, delay) = decide(&request, &key, &mut lock(&state));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    answer.map(into_response).ok_or(Cut)
}

/// The answer, `None` when the connection is cut instead, and how long it is held back.
fn decide(request: &Request, key: &str, state: &mut State) -> (Option<Answer>, Duration) {
    let now = OffsetDateTime::now_utc();
    let fault = state.faults.take(&request.what());
    let made = match fault {
        Some(Fault::Status(status)) => Some(Answer::error(status, "a fault was asked for")),
        Some(Fault::TooMany(seconds)) => {
            let wait = Duration::from_secs(seconds.into());
            Some(Answer::too_many(wait, state.budget.limit(), now))
        }
        Some(Fault::Reset) => None,
        Some(Fault::Slow(_) | Fault::LostAnswer) | None => Some(answer(request, key, state, now)),
    };
    let sent = made.filter(|_| fault != Some(Fault::LostAnswer));
    state.calls.push(Call {
        what: request.what(),
        query: request.query.clone(),
        body: request.json(),
        status: sent.as_ref().map(|answer| answer.status),
    });
    let delay = if let Some(Fault::Slow(delay)) = fault { delay } else { Duration::ZERO };
    (sent, delay)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn into_response(answer: Answer) -> Response<Full<Bytes>> {
    let body = answer.body.map(|body| body.to_string());
    let mut response = Response::new(Full::from(body.clone().unwrap_or_default()));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if body.is_some() {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in answer.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
