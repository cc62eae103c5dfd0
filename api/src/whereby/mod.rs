//! Whereby: rooms that are made there, and the webhooks that come from there.
//!
//! - `creation`: a meeting for a visitor. Whereby takes part in no transaction of ours and repeats nothing, so that what is about to be
//!   asked is noted first.
//! - `clean_up`: removes rooms that were made for nobody.
//! - `notice`, `signature`, `strays`: webhooks, on the same way in as every event; those without a meeting are kept.
//! - `client`, `wire`, `error`: Whereby's API. Questions are paid for with points, of which all replicas together have so many a minute.

use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::config::WherebyMeetings;
use crate::db::whereby::budget;
use crate::meters;

mod clean_up;
mod client;
mod creation;
mod error;
pub mod notice;
pub mod signature;
pub mod strays;
mod wire;

pub use creation::EnterError;
pub use error::WherebyError;
pub use wire::RoomSession;

use client::Client;

/// What questions cost, by the newer and dearer of Whereby's two lists.
mod cost {
    pub(super) const WRITE: u32 = 3;
    pub(super) const LIST: u32 = 3;
    pub(super) const INSIGHT: u32 = 10;
}

/// The part of a minute's points that is kept for visitors: one in so many.
const RESERVE_PART: u32 = 3;

/// How long a visitor waits for points.
const VISITORS_PATIENCE: Duration = Duration::from_secs(3);

/// How long long work does: all points come back in a minute, and visitors may be faster.
const LONG_PATIENCE: Duration = Duration::from_mins(3);

/// The way to Whereby, for all who need it.
#[derive(Debug, Clone)]
pub struct Whereby(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    db: PgPool,
    client: Client,
    settings: WherebyMeetings,
}

/// For whom a question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// Somebody who waits for the room's meeting.
    Visitor,
    /// Somebody who waits for another one, which anybody may ask for as often as they like.
    Another,
    /// Periodic work, which leaves visitors their part and can come again.
    Background,
    /// Periodic work that would have to begin anew, and waits instead.
    Patient,
}

/// Asks Whereby what changes nothing: whether it can be reached and takes the key. The points for it are not counted.
pub async fn rehearse(settings: &WherebyMeetings) -> anyhow::Result<()> {
    Client::new(settings)?.rooms(None).await?;
    Ok(())
}

impl Whereby {
    /// The way to the Whereby that `settings` describe. Nothing is asked of it yet.
    pub fn new(db: PgPool, settings: WherebyMeetings) -> Result<Self, reqwest::Error> {
        let client = Client::new(&settings)?;
        Ok(Self(Arc::new(Parts { db, client, settings })))
    }

    /// The sessions of the room of this name, which is a meeting's. An ended session does not prove that the room is empty: somebody
    /// who is alone is in none.
    pub async fn room_sessions(&self, room_name: &str) -> Result<Vec<RoomSession>, WherebyError> {
        self.ask(Asker::Background, cost::INSIGHT, self.0.client.sessions(room_name)).await
    }

    /// Removes a room from Whereby, and everybody from it, once there are points for it.
    async fn remove_room(&self, meeting_id: &str) -> Result<(), WherebyError> {
        self.ask(Asker::Patient, cost::WRITE, self.0.client.delete(meeting_id)).await
    }

    /// Asks once there are points for it. When Whereby says that there are none, all replicas wait.
    async fn ask<T>(
        &self,
        asker: Asker,
        cost: u32,
        question: impl Future<Output = Result<T, WherebyError>>,
    ) -> Result<T, WherebyError> {
        self.pay(asker, cost).await?;
        let begun = Instant::now();
        let answer = question.await;
        meters::whereby(answer.as_ref().err().map_or("ok", WherebyError::kind), begun.elapsed());
        if let Err(WherebyError::Throttled { after }) = &answer {
            tracing::warn!("Whereby's rate limit is reached; nobody asks it for {} s", after.as_secs());
            budget::close(&self.0.db, *after).await?;
        }
        answer
    }

    async fn pay(&self, asker: Asker, cost: u32) -> Result<(), WherebyError> {
        let per_minute = self.0.settings.points_per_minute;
        let reserve = per_minute / RESERVE_PART;
        let (reserve, patience) = match asker {
            Asker::Visitor => (0, VISITORS_PATIENCE),
            Asker::Another => (reserve, VISITORS_PATIENCE),
            Asker::Background => (reserve, Duration::ZERO),
            Asker::Patient => (reserve, LONG_PATIENCE),
        };
        let deadline = Instant::now() + patience;
        loop {
            match budget::take(&self.0.db, cost, per_minute, reserve).await? {
                Ok(()) => return Ok(()),
                Err(wait) if Instant::now() + wait > deadline => {
                    return Err(WherebyError::Throttled { after: wait.max(Duration::from_secs(1)) });
                }
                Err(wait) => sleep(wait.max(Duration::from_millis(20))).await,
            }
        }
    }
}
