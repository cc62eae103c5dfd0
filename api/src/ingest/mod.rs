//! Group commit: events of concurrent requests share a transaction.
//!
//! Handlers hand parsed events to [`Ingest::store`] and wait. A few writers take everything that waits, store it with one
//! statement and tell each request what became of its events. So a request is answered after its commit and never before, a
//! commit carries as many events as arrived during the one before it, and an event costs no round trip of its own.
//!
//! Events of one request keep their order. Requests that wait at the same time have none among each other; a sender that wants
//! one waits for the answer, as the agent does for each room.

use std::sync::Arc;

use contract::event::Event;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};

mod group;
mod outcome;
mod writer;

pub use outcome::Outcome;

/// How many bytes of bodies may wait for their commit. What exceeds this is answered with 503 at once.
const MAX_WAITING_BYTES: usize = 16 * 1024 * 1024;

/// How many groups are under way at the same time: while one is written to disk, the next is prepared.
const WRITERS: usize = 1;

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
    answer: oneshot::Sender<Result<Vec<Outcome>, StoreError>>,
}

impl Ingest {
    /// Starts the writers. They end when the last clone of the way in is gone and everything that waited is answered.
    pub fn start(options: &PgConnectOptions) -> Self {
        let (requests, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..WRITERS {
            tokio::spawn(writer::run(Arc::clone(&waiting), options.clone()));
        }
        Self { requests, room_left: Arc::new(Semaphore::new(MAX_WAITING_BYTES)) }
    }

    /// Stores the events of one request, whose body had `bytes` bytes; returns after the commit with one outcome per event, in
    /// their order.
    pub async fn store(&self, events: Vec<Event>, bytes: usize) -> Result<Vec<Outcome>, StoreError> {
        let share = u32::try_from(bytes).map_err(|_| StoreError::Busy)?;
        let _share = self.room_left.try_acquire_many(share).map_err(|_| StoreError::Busy)?;
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { events, answer }).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

fn stopped() -> StoreError {
    StoreError::Failed("the writers have stopped".to_owned())
}
