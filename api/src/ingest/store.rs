//! Stores a group's events, whatever happens to the connection and whatever one of them holds.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use contract::event::Event;
use futures_util::FutureExt as _;
use host::pulse::{Pulse, Pulses};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use super::StoreError;
use super::group::group;
use super::outcome::{Ledger, Outcome, outcomes};
use crate::db::{self, events::Answer, patience::patiently};
use crate::meters;

/// How often a statement is tried that gets into the way of others. Each time it does, another one has got through.
const MAX_TRIES: u32 = 10;

/// How long one try may take at most. The database has 10 seconds to take a connection, and 10 to answer.
const TRY_LIMIT: Duration = Duration::from_mins(1);

/// A connection that is made when it is needed.
pub(super) struct Store {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    /// Whether ids are looked up before they are stored: from the first that was stored already until a group brings none, because
    /// repetitions come together, when senders did not get their answers.
    is_cautious: bool,
    /// Beats with every try.
    pulse: Pulse,
}

/// Why events could not be stored together.
enum Failure {
    /// One of them says what cannot be stored.
    Objection(String),
    /// It is not the events' fault.
    Of(StoreError),
}

impl Store {
    pub(super) fn new(options: PgConnectOptions, pulses: &Pulses) -> Self {
        let pulse = pulses.pulse("ingest.store", TRY_LIMIT);
        Self { options, connection: None, is_cautious: false, pulse }
    }

    /// Stores all of `events`. When the database objects to what an event says, the group is halved until that event stands
    /// alone, so that it cannot take others with it.
    pub(super) async fn all(&mut self, events: &[Event]) -> Result<Vec<Outcome>, StoreError> {
        let begun = Instant::now();
        let pulse = self.pulse.clone();
        let _working = pulse.work();
        let mut ledger = Ledger::new(events);
        let mut limit = usize::MAX;
        while let Some(part) = ledger.open(limit) {
            match self.together(&part.events).await {
                Ok(Answer::Stored(stored)) => {
                    ledger.settle(&part, outcomes(&part.events, &stored));
                    limit = limit.saturating_mul(2);
                }
                Ok(Answer::Known(ids)) => ledger.know(&ids),
                Err(Failure::Objection(reason)) if part.events.len() < 2 => {
                    ledger.settle(&part, vec![Outcome::Refused(reason)]);
                }
                Err(Failure::Objection(_)) => limit = part.events.len() / 2,
                Err(Failure::Of(error)) => return Err(error),
            }
        }
        let outcomes = ledger.close();
        count(&outcomes, begun.elapsed());
        Ok(outcomes)
    }

    /// Stores `events` in one transaction. A connection that has died since its last use is replaced once; repeating is safe
    /// even if the commit took place, because ids are stored once.
    async fn together(&mut self, events: &[&Event]) -> Result<Answer, Failure> {
        let mut tries = 1;
        let mut was_replaced = false;
        loop {
            match AssertUnwindSafe(self.once(events)).catch_unwind().await {
                Ok(Ok(answer)) => {
                    self.is_cautious = matches!(answer, Answer::Known(_));
                    return Ok(answer);
                }
                Ok(Err(error)) if db::events::is_contention(&error) && tries < MAX_TRIES => {
                    self.is_cautious = true;
                    tries += 1;
                }
                Ok(Err(error)) if db::events::is_contention(&error) || db::is_outage(&error) => {
                    self.connection = None;
                    if was_replaced {
                        return Err(Failure::Of(StoreError::Outage(error.to_string())));
                    }
                    was_replaced = true;
                }
                Ok(Err(error)) if db::is_about_data(&error) => {
                    return Err(Failure::Objection(error.to_string()));
                }
                Ok(Err(error)) => return Err(Failure::Of(StoreError::Failed(error.to_string()))),
                // The connection may be in the middle of anything.
                Err(_) => {
                    self.connection = None;
                    return Err(Failure::Objection("the service cannot store what it says".to_owned()));
                }
            }
        }
    }

    async fn once(&mut self, events: &[&Event]) -> Result<Answer, sqlx::Error> {
        self.pulse.beat();
        let group = group(events);
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(connect(&self.options).await?),
        };
        patiently(db::events::store(connection, &group, self.is_cautious)).await
    }
}

/// Events of one outcome are counted together: there are hundreds, and few outcomes.
fn count(outcomes: &[Outcome], took: Duration) {
    meters::group(u32::try_from(outcomes.len()).unwrap_or(u32::MAX), took);
    for neighbours in outcomes.chunk_by(|one, other| one.label() == other.label()) {
        meters::events(neighbours[0].label(), neighbours.len() as u64);
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    patiently(async {
        let mut connection = options.connect().await?;
        db::events::prepare(&mut connection).await?;
        Ok(connection)
    })
    .await
}
