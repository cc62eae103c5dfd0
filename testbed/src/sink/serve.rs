//! The sink's thread: a listener that can be closed and opened, and hyper's HTTP/1 on each connection.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use contract::problem::ProblemCode;
use contract::signature::Secrets;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::answer::{Answer, Delivery, answer};
use super::{State, control, signed};

/// What the owner of a sink asks its thread to do; each is answered when it has been done.
pub(super) enum Order {
    /// Refuse connections and cut the open ones.
    Close(oneshot::Sender<()>),
    /// Accept connections again.
    Open(oneshot::Sender<io::Result<()>>),
}

/// What the connections share.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) secrets: Option<Secrets>,
}

/// Binds a socket that keeps the port ours while nothing listens on it.
pub(super) fn reserve(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Opens a listener on a reserved port.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    reserve(address)?.listen(1024)
}

/// Serves until the owner is gone.
pub(super) async fn run(
    mut listener: TcpListener,
    shared: Arc<Shared>,
    mut orders: mpsc::UnboundedReceiver<Order>,
) {
    let Ok(address) = listener.local_addr() else { return };
    loop {
        let Some(closed) = serve_until_closed(listener, &shared, &mut orders).await else { return };
        // The receiver may have stopped waiting; closing is done either way.
        let _ = closed.send(());
        listener = loop {
            match orders.recv().await {
                None => return,
                Some(Order::Close(done)) => drop(done.send(())),
                Some(Order::Open(done)) => match listen(address) {
                    Ok(listener) => {
                        drop(done.send(Ok(())));
                        break listener;
                    }
                    Err(error) => drop(done.send(Err(error))),
                },
            }
        };
    }
}

/// Accepts and serves connections; returns whom to tell once listener and connections are gone.
async fn serve_until_closed(
    listener: TcpListener,
    shared: &Arc<Shared>,
    orders: &mut mpsc::UnboundedReceiver<Order>,
) -> Option<oneshot::Sender<()>> {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _peer)) = accepted {
                connections.spawn(serve_connection(stream, Arc::clone(shared)));
            },
            Some(_finished) = connections.join_next() => {}
            order = orders.recv() => match order {
                Some(Order::Open(done)) => drop(done.send(Ok(()))),
                Some(Order::Close(done)) => {
                    drop(listener);
                    connections.shutdown().await;
                    return Some(done);
                }
                None => return None,
            },
        }
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    // A peer that hangs up is no news to a sink: the ledger says what arrived.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| respond(request, Arc::clone(&shared)));
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// The connection is cut because the acknowledgement is to be lost, or the peer's body broke off.
#[derive(Debug, thiserror::Error)]
#[error("cut without an answer")]
struct Cut;

async fn respond(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let path = head.uri.path();
    if path.starts_with(control::PREFIX) {
        return Ok(into_response(control::answer(&head.method, path, &body, &mut lock(&shared.state))));
    }
    if head.method != Method::POST {
        return Ok(status_only(StatusCode::METHOD_NOT_ALLOWED));
    }
    let signed =
        shared.secrets.as_ref().is_none_or(|secrets| signed::verifies(secrets, &head.headers, &body));
    let (answer, delay) = decide(path, &head.headers, &body, signed, &mut lock(&shared.state));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    if answer.lost { Err(Cut) } else { Ok(into_response(answer)) }
}

fn decide(
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    signed: bool,
    state: &mut State,
) -> (Answer, Duration) {
    let State { faults, ledger } = state;
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signed {
        ledger.count_bad_signature();
        let code = ProblemCode::SignatureInvalid;
        return (Answer::problem(code, code.status(), "neither signature verifies"), faults.delay());
    }
    (answer(Delivery { path, content_type, body }, faults, ledger, Instant::now()), faults.delay())
}

/// The levers and the ledger stay usable when a thread of a test panicked while it held them.
pub(super) fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn into_response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    if let Some(seconds) = answer.retry_after_seconds {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

fn status_only(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
