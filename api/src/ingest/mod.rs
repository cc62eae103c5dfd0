//! Group commit: events of concurrent requests share a transaction.
//!
//! Handlers hand parsed events to [`Ingest::store`] and wait. One task takes everything that waits, has it stored with
//! one statement and tells each request what became of its events. So a request is answered after its commit and never before, a
//! commit carries as many events as arrived during the one before it, and an event costs no round trip of its own.
//!
//! Events of one request keep their order. Requests that wait at the same time have none among each other; a sender that wants
//! one waits for the answer, as the agent does for each room.
//!
//! - `dispatch`: when what waits becomes a group.
//! - `group`: a group's events as the rows of one statement.
//! - `store`: a group on its way into the database.
//! - `outcome`: what became of each event.

use std::sync::Arc;

use contract::event::Event;
use host::pulse::Pulses;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

mod dispatch;
mod group;
mod outcome;
mod store;

pub use outcome::Outcome;

use crate::receipts::draft;

/// How many bytes of bodies may wait for their commit. What exceeds this is answered with 503 at once. A parsed event takes
/// several times the bytes of its body, so this is what bounds the service's memory.
pub const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;

/// The way in.
#[derive(Debug, Clone)]
pub struct Ingest {
    requests: mpsc::UnboundedSender<Request>,
    room_left: Arc<Semaphore>,
}

/// Why nothing is known to be stored. Sending again is safe in every case.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too much waits already.
    #[error("{MAX_WAITING_BYTES} bytes of events wait for the database already")]
    Busy,
    /// The database cannot be reached, or lost the connection before it confirmed the commit.
    #[error("the database cannot be reached: {0}")]
    Outage(String),
    /// The database refused the statement itself.
    #[error("the database refused to store events: {0}")]
    Failed(String),
}

/// The events of one request, and where their answer goes.
struct Request {
    events: Vec<Event>,
    answer: Answer,
    /// Their part of what may wait; given back with the answer, not when the caller gives up, because until then they are there.
    share: OwnedSemaphorePermit,
}

type Answer = oneshot::Sender<Result<Vec<Outcome>, StoreError>>;

impl Ingest {
    /// Starts the task that stores events. It ends when the last clone of the way in is gone and everything is answered.
    pub fn start(options: &PgConnectOptions, pulses: &Pulses) -> Self {
        let (requests, arriving) = mpsc::unbounded_channel();
        tokio::spawn(dispatch::run(arriving, options.clone(), pulses.clone()));
        Self { requests, room_left: Arc::new(Semaphore::new(MAX_WAITING_BYTES)) }
    }

    /// Stores the events of one request, whose body had `bytes` bytes; returns after the commit with one outcome per event, in
    /// their order.
    pub async fn store(&self, events: Vec<Event>, bytes: usize) -> Result<Vec<Outcome>, StoreError> {
        let share = u32::try_from(bytes).map_err(|_| StoreError::Busy)?;
        let share =
            Arc::clone(&self.room_left).try_acquire_many_owned(share).map_err(|_| StoreError::Busy)?;
        draft::expect(&events);
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { events, answer, share }).map_err(|_| stopped())?;
        let outcomes = answered.await.map_err(|_| stopped())??;
        draft::settle(&outcomes);
        Ok(outcomes)
    }
}

fn stopped() -> StoreError {
    StoreError::Failed("the task that stores events has ended".to_owned())
}
