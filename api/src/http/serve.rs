//! Accepts connections and serves the router on them, until told to stop.
//!
//! Connections are bounded, in all and for each address that is no trusted proxy. In all: no more are accepted, they wait in the
//! kernel's queue. For an address: what is too much is closed at once.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{MissedTickBehavior, interval};
use tower::ServiceExt as _;

use super::limits::network;
use super::timeouts::{Course, Patience, Timed};
use crate::config::Limits;
use crate::meters;

/// How long requests that are under way may take to finish after a stop was asked for. A commit takes far less; a sender that is
/// still busy with its body gets no answer and sends again.
const GRACE: Duration = Duration::from_secs(5);

/// How long to wait after an accept failed for want of something (file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The most bytes that the head of a request may have.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Serves `router` until `stop` completes, then lets requests that are under way finish. `turned` is called whenever the loop that accepts
/// connections turns, which it also does when nobody comes.
pub async fn serve(
    listener: impl Borrow<TcpListener>,
    router: Router,
    limits: &Limits,
    patience: Patience,
    turned: impl Fn(),
    stop: impl Future<Output = ()>,
) {
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(limits.connections));
    let crowd = Crowd::default();
    let mut stop = pin!(stop);
    let mut turns = interval(patience.turn);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turned();
        let accepted = tokio::select! {
            accepted = accept(listener.borrow(), &room) => accepted,
            _ = turns.tick() => continue,
            () = &mut stop => break,
        };
        match accepted {
            Ok((stream, peer, permit)) => match crowd.join(peer.ip(), limits) {
                Some(place) => spawn(&graceful, stream, peer, router.clone(), patience, (permit, place)),
                None => meters::connection_refused(),
            },
            Err(error) => {
                tracing::warn!("cannot accept a connection: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            "requests were still under way {} s after the stop; they are cut off",
            GRACE.as_secs()
        );
    }
}

/// The next connection, once there is room for it.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

/// `held` is what the connection occupies; it is given back when the connection ends.
fn spawn(
    graceful: &GracefulShutdown,
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    patience: Patience,
    held: (OwnedSemaphorePermit, Place),
) {
    // Answers are small and complete: waiting to fill a segment only delays them.
    let _ = stream.set_nodelay(true);
    let course = Course::default();
    let stream = Timed::new(stream, course.clone(), patience);
    let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
        let handling = course.begin();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        let answer = router.clone().oneshot(request);
        async move {
            let answer = answer.await;
            drop(handling);
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!("connection ended: {error}");
        }
        drop(held);
    });
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Crowd(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// A connection's place among those of its address; `None` for a trusted proxy, which speaks for many.
struct Place(Option<(Crowd, IpAddr)>);

impl Crowd {
    /// A place for one more connection of `peer`, if there is one.
    fn join(&self, peer: IpAddr, limits: &Limits) -> Option<Place> {
        let peer = peer.to_canonical();
        if limits.trusted_proxies.iter().any(|network| network.contains(&peer)) {
            return Some(Place(None));
        }
        let key = network(peer, false);
        let mut crowd = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = crowd.entry(key).or_insert(0);
        if *count >= limits.connections_per_address {
            return None;
        }
        *count += 1;
        Some(Place(Some((self.clone(), key))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some((Crowd(crowd), key)) = self.0.take() else { return };
        let mut crowd = crowd.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = crowd.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                crowd.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::mpsc;
    use std::thread;
    use std::time::Instant;

    use host::pulse::Pulses;
    use tokio::sync::oneshot;

    use super::*;

    fn limits() -> Limits {
        Limits {
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            connections: 10,
            connections_per_address: 2,
            deliveries_per_second: NonZeroU32::MIN,
            failures_per_minute: NonZeroU32::MIN,
            answers_per_minute: NonZeroU32::MIN,
        }
    }

    /// Waits until something is so.
    fn until(what: &str, is_so: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_loop_that_accepts_turns_while_nobody_comes_and_is_stuck_when_something_blocks_it() {
        let limit = Duration::from_secs(1);
        let (pulses, turns) = (Pulses::default(), Arc::new(AtomicU32::new(0)));
        let (pulse, counted) = (pulses.pulse("http.accept", limit), Arc::clone(&turns));
        let (block, is_to_block) = oneshot::channel();
        let (unblock, is_unblocked) = mpsc::channel();
        let serving = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let patience = Patience { turn: Duration::from_millis(20), ..Patience::default() };
                let turned = || {
                    pulse.beat();
                    counted.fetch_add(1, Ordering::Relaxed);
                };
                // What blocks while it is polled, blocks the loop that polls it.
                let stop = async {
                    is_to_block.await.unwrap();
                    is_unblocked.recv().unwrap();
                };
                serve(listener, Router::new(), &limits(), patience, turned, stop).await;
            });
        });
        let longer = 60;
        until("it turns for longer than its limit", || turns.load(Ordering::Relaxed) > longer);
        assert_eq!(pulses.stuck(Duration::ZERO), []);
        block.send(()).unwrap();
        until("it is stuck", || !pulses.stuck(Duration::ZERO).is_empty());
        assert_eq!(pulses.stuck(Duration::ZERO)[0].name, "http.accept");
        unblock.send(()).unwrap();
        serving.join().unwrap();
    }

    #[test]
    fn an_address_has_so_many_connections_and_a_trusted_proxy_any_number() {
        let limits = limits();
        let (crowd, peer): (_, IpAddr) = (Crowd::default(), "192.0.2.1".parse().unwrap());
        let places = [crowd.join(peer, &limits), crowd.join(peer, &limits)];
        assert!(places.iter().all(Option::is_some) && crowd.join(peer, &limits).is_none());
        assert!(crowd.join("192.0.2.2".parse().unwrap(), &limits).is_some(), "somebody else");
        let proxy: Vec<_> = (0..9).map(|_| crowd.join("10.1.1.1".parse().unwrap(), &limits)).collect();
        assert!(proxy.iter().all(Option::is_some));
        drop(places);
        assert!(crowd.0.lock().unwrap().is_empty(), "nothing is remembered of those who left");
        assert!(crowd.join(peer, &limits).is_some());
    }
}
