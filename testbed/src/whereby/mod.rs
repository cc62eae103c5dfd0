//! A Whereby on this host, built from what Whereby publishes: meetings, themes, insights, its rate limit and its webhooks.
//!
//! Calls are answered at once and from memory. [`Whereby::fail`] makes it misbehave on demand; [`Whereby::rooms`] tells which
//! rooms exist, so that a test finds a room that nobody knows of. What people do in a room ([`Whereby::join`]) returns the
//! [`Event`]s that tell of it: the test sends them ([`Whereby::send`]) in whatever order and as often as it likes.
//!
//! What is not documented is answered as strictly as it can be without contradicting what is.

mod account;
mod answer;
mod budget;
mod event;
mod faults;
mod insights;
mod meetings;
mod page;
mod recording;
mod serve;
#[cfg(test)]
mod tests;
mod themes;
mod webhook;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use time::OffsetDateTime;
use tokio::sync::oneshot;

pub use account::{Person, Room};
pub use event::Event;
pub use faults::Fault;
pub use recording::{key_of, notice_of, put};
pub use webhook::{Delivery, signature};

use account::Account;
use budget::Budget;
use faults::Faults;

/// The points per minute of the smallest plan on which rooms can be made.
const POINTS_PER_MINUTE: u32 = 100;

/// A request that arrived, whatever it was answered with.
#[derive(Debug, Clone)]
pub struct Call {
    /// Method and path without a query, as in `POST /v1/meetings`.
    pub what: String,
    /// The query, undecoded.
    pub query: String,
    /// The body; `null` when it was no JSON.
    pub body: serde_json::Value,
    /// The status of the answer; `None` when the connection was cut instead.
    pub status: Option<u16>,
}

/// What requests work on.
#[derive(Debug)]
struct State {
    account: Account,
    budget: Budget,
    faults: Faults,
    calls: Vec<Call>,
}

/// A running Whereby. It ends when dropped.
#[derive(Debug)]
pub struct Whereby {
    address: SocketAddr,
    api_key: String,
    webhook_secret: String,
    state: Arc<Mutex<State>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Whereby {
    /// Starts one on a free loopback port, with a key and a webhook secret of its own and 100 points a minute.
    pub fn start() -> io::Result<Self> {
        Self::start_with(POINTS_PER_MINUTE)
    }

    /// Starts one with another rate limit.
    pub fn start_with(points_per_minute: u32) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let text = |length: usize| std::iter::repeat_with(fastrand::alphanumeric).take(length).collect();
        let (api_key, webhook_secret): (String, String) = (text(40), text(64));
        let state = Arc::new(Mutex::new(State {
            account: Account::default(),
            budget: Budget::new(points_per_minute),
            faults: Faults::default(),
            calls: Vec::new(),
        }));
        let (stop, stopped) = oneshot::channel();
        let served = serve::run(listener, Arc::clone(&state), format!("Bearer {api_key}"), stopped);
        let thread =
            thread::Builder::new().name("whereby".to_owned()).spawn(move || runtime.block_on(served))?;
        Ok(Self { address, api_key, webhook_secret, state, stop: Some(stop), thread: Some(thread) })
    }

    /// The value of `WHEREBY_API_URL`.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The value of `WHEREBY_API_KEY`.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The value of `WHEREBY_WEBHOOK_SECRET`.
    pub fn webhook_secret(&self) -> &str {
        &self.webhook_secret
    }

    /// The variables with which `reflector-api` uses this Whereby.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("WHEREBY_API_URL", self.url()),
            ("WHEREBY_API_KEY", self.api_key.clone()),
            ("WHEREBY_WEBHOOK_SECRET", self.webhook_secret.clone()),
        ]
    }

    /// The next call that begins with `what` (as in `POST /v1/meetings`; empty for any) meets `fault`. Several wait in a line.
    pub fn fail(&self, what: &str, fault: Fault) {
        self.lock().faults.add(what, fault);
    }

    /// Calls meet no more faults, and the rate limit has all its points again.
    pub fn recover(&self) {
        let mut state = self.lock();
        state.faults = Faults::default();
        state.budget.refill();
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// The rooms that exist, the oldest first. One that no meeting knows has leaked.
    pub fn rooms(&self) -> Vec<Room> {
        self.lock().account.rooms().cloned().collect()
    }

    /// The room of this name, with or without its slash.
    pub fn room(&self, name: &str) -> Option<Room> {
        self.lock().account.room(name).cloned()
    }

    /// Somebody enters a room; `None` when there is no such room.
    pub fn join(&self, room: &str, person: &Person) -> Option<Vec<Event>> {
        self.lock().account.join(room, person, OffsetDateTime::now_utc())
    }

    /// Somebody leaves a room; `None` when there is no such room or they are not there.
    pub fn leave(&self, room: &str, participant_id: &str) -> Option<Vec<Event>> {
        self.lock().account.leave(room, participant_id, OffsetDateTime::now_utc())
    }

    /// Sends an event to a webhook endpoint, signed, with Whereby's timeout and retries. It is under way when this returns.
    pub fn send(&self, url: &str, event: &Event) -> io::Result<Delivery> {
        webhook::send(url, &self.webhook_secret, event)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Drop for Whereby {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

/// The state stays usable when a thread of a test panicked while it held it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
