//! The local HTTP listener: the stock module's events, health checks and metrics.
//!
//! One thread with its own small runtime, so that a commit into the outbox, which blocks for a disk's moment, delays no
//! delivery. Connections are few and short; a slow or silent client is cut and holds nobody up.

mod answer;
mod health;

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;

pub use self::answer::{Site, Token};
use crate::watch::Stop;

/// How many connections are served at a time, which bounds what their bodies need; others wait in the kernel's queue.
const CONNECTIONS: usize = 16;

/// How long a client may take for its request's head, and again for its body.
const PATIENCE: Duration = Duration::from_secs(10);

/// How soon an address that is taken is tried again, and a failed accept.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// The listener.
pub struct Listener {
    address: SocketAddr,
    socket: Option<TcpListener>,
    site: Site,
    stop: Stop,
}

impl Listener {
    /// Binds `address`. If it is taken, that is said, and [`Listener::run`] tries again: deliveries do not depend on it.
    pub fn new(address: SocketAddr, site: Site, stop: Stop) -> Self {
        let socket = bind(address).inspect_err(|error| say_taken(address, error)).ok();
        Self { address, socket, site, stop }
    }

    /// Where it listens; `None` while the address is taken.
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.socket.as_ref()?.local_addr().ok()
    }

    /// Serves until the agent stops.
    pub fn run(self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.map(|runtime| {
            let stop = self.stop.clone();
            let tasks = tokio::task::LocalSet::new();
            runtime.block_on(async {
                tokio::select! {
                    () = stop.given() => {}
                    never = tasks.run_until(self.serve()) => match never {},
                }
            });
        });
        if let Err(error) = served {
            tracing::error!(%error, "the listener cannot work");
        }
    }

    async fn serve(self) -> std::convert::Infallible {
        let socket = match self.socket {
            Some(socket) => socket,
            None => bind_at_last(self.address).await,
        };
        let listener = loop {
            match socket.try_clone().and_then(tokio::net::TcpListener::from_std) {
                Ok(listener) => break listener,
                Err(error) => pause(&error).await,
            }
        };
        let address = listener.local_addr().unwrap_or(self.address);
        tracing::info!(%address, "listening for event_sync, health checks and metrics");
        let site = Rc::new(self.site);
        let permits = Rc::new(Semaphore::new(CONNECTIONS));
        loop {
            // The semaphore is never closed.
            let permit = Rc::clone(&permits);
            let Ok(()) = permit.acquire().await.map(tokio::sync::SemaphorePermit::forget) else { continue };
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    permits.add_permits(1);
                    pause(&error).await;
                    continue;
                }
            };
            let (site, permits) = (Rc::clone(&site), Rc::clone(&permits));
            tokio::task::spawn_local(async move {
                let service = service_fn(|request| {
                    let site = Rc::clone(&site);
                    async move { Ok::<_, std::convert::Infallible>(site.answer(request, PATIENCE).await) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .serve_connection(TokioIo::new(stream), service);
                // A client that goes away is its own affair.
                let _ = served.await;
                permits.add_permits(1);
            });
        }
    }
}

fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

async fn bind_at_last(address: SocketAddr) -> TcpListener {
    loop {
        tokio::time::sleep(TRY_AGAIN).await;
        if let Ok(socket) = bind(address) {
            return socket;
        }
    }
}

fn say_taken(address: SocketAddr, error: &std::io::Error) {
    tracing::error!(
        %address, %error,
        "cannot listen for event_sync, health checks and metrics; tried again every few seconds, and deliveries go on. See who has the address with `ss -ltnp`, or choose another `listen` in [event-sync]"
    );
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "the listener cannot take a connection; tried again in a moment");
    tokio::time::sleep(TRY_AGAIN).await;
}
