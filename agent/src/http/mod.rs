//! HTTP to the outside: the one client that deliveries, uploads, heartbeats and checks share.
//!
//! It goes through the proxy that is configured ([`proxy`]), trusts the system's certificates and the configured one
//! ([`trust`]), and says in words what went wrong and what to do about it ([`ConnectError`], [`HttpError`]).
//!
//! Connections are kept for the next request, but neither for ever nor beyond a failure: a name whose address changed is
//! resolved anew with the next connection.

mod connector;
mod error;
mod proxy;
mod signed;
mod stream;
mod trust;
mod tunnel;

use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::PROXY_AUTHORIZATION;
use hyper::http::response::Parts;
use hyper::{Request, Response};
use hyper_util::client::legacy::{Client as Pool, Error as PoolError};
use hyper_util::rt::{TokioExecutor, TokioTimer};

pub use self::error::{ConnectError, HttpError};
pub use self::signed::signed;

use self::connector::Connector;
use self::proxy::Route;
use crate::chain::Chain;
use crate::config;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// How long an unused connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(50);

/// How long connections are used before new ones are made, so that a name that moved is followed.
const LIFE: Duration = Duration::from_mins(5);

/// What a request carries: bytes that are at hand, or a stream of them.
pub type Body = Either<Full<Bytes>, UnsyncBoxBody<Bytes, io::Error>>;

/// A body of bytes that are at hand.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Either::Left(Full::new(bytes.into()))
}

/// A body that is made while it is sent, for files that do not fit into memory.
pub fn streamed(body: impl hyper::body::Body<Data = Bytes, Error = io::Error> + Send + 'static) -> Body {
    Either::Right(UnsyncBoxBody::new(body))
}

/// An HTTP client; clones share its connections.
#[derive(Clone)]
pub struct Client(Arc<Shared>);

struct Shared {
    connector: Connector,
    connections: usize,
    pool: Mutex<Life>,
}

/// The connections of a while.
#[derive(Clone)]
struct Life {
    pool: Pool<Connector, Body>,
    since: Instant,
    number: u64,
}

/// An answer that was read to its end.
#[derive(Debug)]
pub struct Answer {
    /// Status and headers.
    pub head: Parts,
    /// The body.
    pub body: Bytes,
}

impl Client {
    /// A client that keeps up to `connections` unused connections to each server.
    ///
    /// The CA certificates are read with the first TLS connection: an API on the same host does without them.
    pub fn new(settings: &config::Api, proxies: &config::Proxies, connections: usize) -> Self {
        let connector = Connector::new(proxies, settings.ca_file.clone(), settings.connect_timeout());
        let life = Life { pool: pool(&connector, connections), since: Instant::now(), number: 0 };
        Self(Arc::new(Shared { connector, connections, pool: Mutex::new(life) }))
    }

    /// Sends a request and reads its answer, at most 1 MiB, all within `timeout`.
    pub async fn exchange(&self, request: Request<Body>, timeout: Duration) -> Result<Answer, HttpError> {
        let life = self.life();
        let exchange = async {
            let (head, body) = send(&self.0.connector, &life.pool, request).await?.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    HttpError::TooLong(MAX_ANSWER)
                } else {
                    HttpError::Broken(Chain(error.as_ref()).to_string())
                }
            })?;
            Ok(Answer { head, body: body.to_bytes() })
        };
        let answer =
            tokio::time::timeout(timeout, exchange).await.unwrap_or(Err(HttpError::NoAnswer(timeout)));
        if answer.is_err() {
            self.renew(Some(life.number));
        }
        answer
    }

    /// The connections to use now.
    fn life(&self) -> Life {
        let life = self.lock().clone();
        if life.since.elapsed() < LIFE {
            return life;
        }
        self.renew(Some(life.number))
    }

    /// Makes new connections from now on, unless that was done since life `number`. Requests on their way keep theirs.
    fn renew(&self, number: Option<u64>) -> Life {
        let mut life = self.lock();
        if number.is_none_or(|number| life.number == number) {
            let pool = pool(&self.0.connector, self.0.connections);
            *life = Life { pool, since: Instant::now(), number: life.number + 1 };
        }
        life.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Life> {
        // Nothing can panic while it is held.
        self.0.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pool(connector: &Connector, connections: usize) -> Pool<Connector, Body> {
    Pool::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(connections)
        .build(connector.clone())
}

async fn send(
    connector: &Connector,
    pool: &Pool<Connector, Body>,
    mut request: Request<Body>,
) -> Result<Response<Incoming>, HttpError> {
    // A tunnel is logged in to when it is made; a proxy that passes plain requests on wants the login with each.
    if let Route::Forward(proxy) = connector.route(request.uri())
        && let Some(login) = proxy.login
    {
        request.headers_mut().insert(PROXY_AUTHORIZATION, login);
    }
    pool.request(request).await.map_err(|error| explain(&error))
}

fn explain(error: &PoolError) -> HttpError {
    let Some(source) = error.source() else { return HttpError::Broken(error.to_string()) };
    match source.downcast_ref::<Arc<ConnectError>>() {
        Some(error) => HttpError::NoConnection(Arc::clone(error)),
        // The outer layer only names a step of the library.
        None => HttpError::Broken(Chain(source).to_string()),
    }
}
