//! Forgets deliveries that were settled long ago.

use std::time::Duration;

use super::Webhooks;
use crate::db::webhook_deliveries as deliveries;

/// How long what was delivered is kept, for whoever asks what was sent.
const DELIVERED: Duration = Duration::from_hours(30 * 24);
/// How long what was parked waits for an operator.
const PARKED: Duration = Duration::from_hours(90 * 24);
/// How many are forgotten at a time.
const BATCH: u32 = 1000;

impl Webhooks {
    /// Forgets what is old enough; returns how many deliveries that were.
    pub async fn forget_old(&self) -> Result<u64, sqlx::Error> {
        let mut forgotten = 0;
        loop {
            let batch = deliveries::forget(&self.db, DELIVERED, PARKED, BATCH.into()).await?;
            forgotten += batch;
            if batch < BATCH.into() {
                return Ok(forgotten);
            }
        }
    }
}
