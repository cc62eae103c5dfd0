//! Receipts: what senders brought, and what became of it, for people who look for what is missing.
//!
//! A receipt is written after the answer, in the background, and never holds one up: when the queue is full, or the database
//! away for long, receipts are left out, and the next one says how many. Like requests that come together share a row, and
//! refusals of what was not even read are limited, so that noise fills no table.
//!
//! - [`draft`]: what is found out about a request on its way.
//! - `writer`: how receipts get into the database.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot};

use crate::config::Ops;
use crate::db::receipts;
use crate::domain::receipt::Receipt;

pub mod draft;
mod writer;

/// How many receipts may wait for the database.
const QUEUE: usize = 8192;

/// How many refusals of unread requests get a receipt in a second, after a first burst.
const NOISE_PER_SECOND: NonZeroU32 = NonZeroU32::new(10).expect("ten is not zero");
/// The burst.
const NOISE_BURST: NonZeroU32 = NonZeroU32::new(100).expect("a hundred is not zero");

/// The way in.
#[derive(Debug, Clone)]
pub struct Receipts {
    queue: mpsc::Sender<Message>,
    missed: Arc<AtomicU64>,
    noise: Arc<DefaultDirectRateLimiter>,
}

enum Message {
    Receipt(Box<Receipt>),
    /// Everything before it is to be written now.
    Flush(oneshot::Sender<()>),
}

impl Receipts {
    /// Starts the task that writes. It ends when the last clone of the way in is gone.
    pub fn start(db: PgPool) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let missed = Arc::new(AtomicU64::new(0));
        tokio::spawn(writer::run(waiting, db, Arc::clone(&missed)));
        let quota = Quota::per_second(NOISE_PER_SECOND).allow_burst(NOISE_BURST);
        Self { queue, missed, noise: Arc::new(RateLimiter::direct(quota)) }
    }

    /// Takes a receipt if there is room for it. Never waits.
    pub fn note(&self, receipt: Receipt) {
        let is_welcome = !receipt.is_noise() || self.noise.check().is_ok();
        let message = Message::Receipt(Box::new(receipt));
        if !is_welcome || self.queue.try_send(message).is_err() {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns when what was taken so far is written, or after `patience`.
    pub async fn flush(&self, patience: Duration) {
        let (done, written) = oneshot::channel();
        let flush = async {
            if self.queue.send(Message::Flush(done)).await.is_ok() {
                let _ = written.await;
            }
        };
        if tokio::time::timeout(patience, flush).await.is_err() {
            tracing::warn!("the last receipts are not written: the database does not answer");
        }
    }
}

/// Removes receipts that are too old or too many. Periodic work; returns how many.
pub async fn prune(db: &PgPool, settings: &Ops, now: OffsetDateTime) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    loop {
        match receipts::prune(db, now - settings.receipts_age, settings.receipts_most.into()).await? {
            0 => return Ok(removed),
            some => removed += some,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::domain::receipt::{Counts, Kind, Verdict};

    /// A receipt of one stored event.
    pub(crate) fn receipt(room: Option<&str>, status: u16) -> Receipt {
        let stored = u32::from(status < 400);
        let counts = Counts { stored, ..Counts::default() };
        Receipt {
            kind: Kind {
                route: "POST /v1/jitsi/events".to_owned(),
                status,
                verdict: Verdict::of(status, counts),
                code: None,
                room: room.map(ToOwned::to_owned),
                agent: None,
                address: Some("192.0.2.7".to_owned()),
                user_agent: None,
            },
            received_at: datetime!(2026-01-01 12:00 UTC),
            request_id: "r-1".to_owned(),
            duration: Duration::from_millis(2),
            counts,
        }
    }

    fn receipts(capacity: usize) -> (Receipts, mpsc::Receiver<Message>) {
        let (queue, waiting) = mpsc::channel(capacity);
        let noise = Arc::new(RateLimiter::direct(Quota::per_second(NOISE_PER_SECOND)));
        (Receipts { queue, missed: Arc::default(), noise }, waiting)
    }

    #[test]
    fn noise_is_limited_and_what_came_from_a_known_sender_is_not() {
        let (receipts, mut waiting) = receipts(1000);
        for _ in 0..200 {
            receipts.note(receipt(None, 401));
            receipts.note(receipt(Some("a"), 404));
        }
        let missed = receipts.missed.load(Ordering::Relaxed);
        let mut taken = 0;
        while waiting.try_recv().is_ok() {
            taken += 1;
        }
        assert_eq!(taken + missed, 400);
        assert!((150..=190).contains(&missed), "{missed} of 200 refusals got no receipt");
    }

    #[test]
    fn a_full_queue_costs_receipts_and_they_are_counted() {
        let (receipts, _waiting) = receipts(3);
        for _ in 0..10 {
            receipts.note(receipt(Some("a"), 200));
        }
        assert_eq!(receipts.missed.load(Ordering::Relaxed), 7);
    }
}
