//! Webhooks of rooms that no meeting has, yet.
//!
//! A room exists at Whereby before its meeting does here, and Whereby never repeats what it was answered. So such webhooks are kept, and
//! go the way of all events once their meeting is there; the others are removed after a while.

use std::time::Duration;

use contract::event::Event;
use sqlx::PgPool;

use crate::db::whereby::strays;
use crate::ingest::{Ingest, Outcome};

/// How long after a webhook its meeting may still be stored. It takes seconds; a database that was away takes longer.
const HOPE: Duration = Duration::from_hours(1);

/// How long webhooks without a meeting are kept.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// Stores the webhooks whose meeting is there by now; returns how many. Repeating is safe: an id is stored once.
pub async fn bring_home(db: &PgPool, ingest: &Ingest) -> anyhow::Result<usize> {
    strays::remove_old(db, KEPT).await?;
    let mut settled = Vec::new();
    for stray in strays::found(db, HOPE).await? {
        let Ok(event) = Event::parse(stray.event.as_bytes()) else {
            tracing::warn!(event.id = stray.id, "a kept webhook cannot be read any more");
            settled.push(stray.id);
            continue;
        };
        let outcomes = ingest.store(vec![event], stray.event.len()).await?;
        match outcomes.into_iter().next() {
            Some(Outcome::MeetingUnknown) | None => {}
            Some(Outcome::Refused(reason)) => {
                tracing::warn!(event.id = stray.id, "a kept webhook cannot be stored: {reason}");
                settled.push(stray.id);
            }
            Some(Outcome::Stored | Outcome::Duplicate | Outcome::Acknowledged) => settled.push(stray.id),
        }
    }
    strays::forget(db, &settled).await?;
    Ok(settled.len())
}
