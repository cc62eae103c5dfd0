//! A receiver for the agent's deliveries that remembers every id and misbehaves on demand.
//!
//! It speaks the wire contract of the events and recording routes on plain HTTP/1.1, keeps a [`Ledger`] of what it
//! accepted, and has levers ([`Faults`], [`Sink::close`]) that can be moved while deliveries run. It stores nothing on
//! disk and knows nothing of rooms, meetings or databases: what it measures is the sender.

mod answer;
pub mod cli;
mod control;
mod faults;
mod ledger;
mod serve;
mod signed;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use contract::signature::Secrets;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot};

pub use faults::{Faults, LostAcknowledgements, Refusal, RefusalBody};
pub use ledger::{Arrival, Ledger};

use serve::{Order, Shared};

/// The levers and the record of arrivals.
#[derive(Debug, Default)]
struct State {
    faults: Faults,
    ledger: Ledger,
}

/// A running sink. It stops, and its port is free again, when this is dropped.
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<thread::JoinHandle<()>>,
    _reservation: TcpSocket,
}

impl Sink {
    /// Starts a sink on a free loopback port that takes requests whatever their signature.
    pub fn start() -> io::Result<Self> {
        Self::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), None)
    }

    /// Starts a sink on `address` (port 0: any free one). With secrets, a request whose signatures do
    /// not both verify gets a 401.
    pub fn start_with(address: SocketAddr, secrets: Option<Secrets>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (reservation, listener) = runtime.block_on(async {
            let reservation = serve::reserve(address)?;
            let listener = serve::listen(reservation.local_addr()?)?;
            io::Result::Ok((reservation, listener))
        })?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { state: Mutex::default(), secrets });
        let (orders, inbox) = mpsc::unbounded_channel();
        let of_thread = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("sink".to_owned())
            .spawn(move || runtime.block_on(serve::run(listener, of_thread, inbox)))?;
        Ok(Self { address, shared, orders: Some(orders), thread: Some(thread), _reservation: reservation })
    }

    /// Where the sink listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The sink's address as the `url` of an agent's configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at what arrived. Deliveries wait meanwhile, so look briefly.
    pub fn ledger<T>(&self, look: impl FnOnce(&Ledger) -> T) -> T {
        look(&serve::lock(&self.shared.state).ledger)
    }

    /// Moves the levers; the next request meets the new setting.
    pub fn set_faults(&self, faults: Faults) {
        serve::lock(&self.shared.state).faults = faults;
    }

    /// Forgets what arrived.
    pub fn clear(&self) {
        serve::lock(&self.shared.state).ledger.clear();
    }

    /// Goes down: connections are refused and the open ones cut once this returns. The port stays reserved.
    pub fn close(&self) -> io::Result<()> {
        self.order(Order::Close)
    }

    /// Comes back up on the same port.
    pub fn open(&self) -> io::Result<()> {
        self.order(Order::Open)?
    }

    /// Waits until `condition` holds for what arrived; false when it does not within `deadline`.
    pub fn wait_until(&self, deadline: Duration, mut condition: impl FnMut(&Ledger) -> bool) -> bool {
        crate::wait::eventually(deadline, || self.ledger(&mut condition))
    }

    /// Gives an order to the sink's thread and waits until it has been carried out.
    fn order<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> io::Result<T> {
        let (done, wait) = oneshot::channel();
        let sent = self.orders.as_ref().is_some_and(|orders| orders.send(order(done)).is_ok());
        let gone = || io::Error::other("the sink's thread has ended");
        if sent { wait.blocking_recv().map_err(|_| gone()) } else { Err(gone()) }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed already; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}
