//! Gets receipts into the database, many at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout_at};

use super::Message;
use crate::db;
use crate::domain::receipt::{Kind, Receipt, Row};

/// How long receipts are gathered. What is alike in this time shares a row.
const WINDOW: Duration = Duration::from_millis(500);
/// With so many rows it is over earlier.
const MAX_ROWS: usize = 1000;
/// How long to wait when the database does not answer.
const PAUSE: Duration = Duration::from_secs(1);

/// Writes until the last sender is gone.
pub(super) async fn run(mut waiting: mpsc::Receiver<Message>, db: PgPool, missed: Arc<AtomicU64>) {
    while let Some(first) = waiting.recv().await {
        let mut gathered = Gathered::default();
        let mut is_over = gathered.take(first);
        let deadline = Instant::now() + WINDOW;
        while !is_over && gathered.rows.len() < MAX_ROWS {
            match timeout_at(deadline, waiting.recv()).await {
                Ok(Some(message)) => is_over = gathered.take(message),
                Ok(None) | Err(_) => is_over = true,
            }
        }
        if let Some(first) = gathered.rows.first_mut() {
            first.missed = missed.swap(0, Ordering::Relaxed);
            say_missed(first.missed);
            if !store(&db, &gathered.rows).await {
                return;
            }
        }
        for done in gathered.flushes {
            let _ = done.send(());
        }
    }
}

fn say_missed(missed: u64) {
    if missed > 0 {
        tracing::warn!(
            "{missed} requests got no receipt: they came faster than receipts are written, or were refused unread too often"
        );
    }
}

/// Stores `rows`, however long the database is away. `false` when there is none any more.
async fn store(db: &PgPool, rows: &[Row]) -> bool {
    let mut was_said = false;
    while let Err(error) = db::receipts::store(db, rows).await {
        if db.is_closed() {
            return false;
        }
        if !db::is_outage(&error) {
            tracing::error!("{} receipts are lost: {error}", rows.len());
            return true;
        }
        if !was_said {
            tracing::warn!("receipts wait for the database: {error}");
            was_said = true;
        }
        sleep(PAUSE).await;
    }
    true
}

/// What came in a window.
#[derive(Default)]
struct Gathered {
    rows: Vec<Row>,
    places: HashMap<Kind, usize>,
    flushes: Vec<oneshot::Sender<()>>,
}

impl Gathered {
    /// Takes a message in. `true` when the window is over with it.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Receipt(receipt) => self.add(*receipt),
            Message::Flush(done) => {
                self.flushes.push(done);
                return true;
            }
        }
        false
    }

    fn add(&mut self, receipt: Receipt) {
        if let Some(&place) = self.places.get(&receipt.kind) {
            self.rows[place].add(&receipt);
        } else {
            self.places.insert(receipt.kind.clone(), self.rows.len());
            self.rows.push(Row { receipt, requests: 1, missed: 0 });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::receipt;
    use super::*;

    #[test]
    fn like_requests_of_a_window_share_a_row_and_others_do_not() {
        let mut gathered = Gathered::default();
        let slow = Receipt {
            duration: Duration::from_secs(1),
            request_id: "r-2".to_owned(),
            ..receipt(Some("a"), 200)
        };
        for receipt in [receipt(Some("a"), 200), slow, receipt(Some("b"), 200), receipt(Some("a"), 404)] {
            gathered.add(receipt);
        }
        let [both, b, refused] = &gathered.rows[..] else { panic!("{:?}", gathered.rows) };
        assert_eq!((both.requests, both.receipt.counts.stored), (2, 2));
        assert_eq!(
            (both.receipt.request_id.as_str(), both.receipt.duration),
            ("r-1", Duration::from_secs(1))
        );
        assert_eq!((b.requests, refused.requests), (1, 1));
    }
}
