//! Stores a group's events, whatever happens to the connection and whatever one of them holds.

use std::time::Duration;

use contract::event::Event;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::time::timeout;

use super::StoreError;
use super::group::group;
use super::outcome::{Outcome, outcomes};
use crate::db::{self, events::Stored};

/// How long the database may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that is made when it is needed.
pub(super) struct Store {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Store {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self { options, connection: None }
    }

    /// Stores all of `events`. When the database objects to what an event says, the group is halved until that event stands
    /// alone, so that it cannot take others with it.
    pub(super) async fn all(&mut self, events: &[Event]) -> Result<Vec<Outcome>, StoreError> {
        let mut results = Vec::with_capacity(events.len());
        let mut parts = vec![events];
        while let Some(part) = parts.pop() {
            match self.together(part).await {
                Ok(stored) => results.extend(outcomes(part, &stored)),
                Err(error) if db::is_outage(&error) => return Err(StoreError::Outage(error.to_string())),
                Err(error) if !db::is_about_data(&error) => {
                    return Err(StoreError::Failed(error.to_string()));
                }
                Err(error) if part.len() < 2 => results.push(Outcome::Refused(error.to_string())),
                Err(_) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
        Ok(results)
    }

    /// Stores `events` in one transaction. A connection that has died since its last use is replaced once; repeating is safe
    /// even if the commit took place, because ids are stored once.
    async fn together(&mut self, events: &[Event]) -> Result<Stored, sqlx::Error> {
        let group = group(events);
        let mut is_first_try = true;
        loop {
            let connection = match &mut self.connection {
                Some(connection) => connection,
                none => none.insert(connect(&self.options).await?),
            };
            let result = patiently(db::events::store(connection, &group)).await;
            match result {
                Err(error) if db::is_outage(&error) => {
                    self.connection = None;
                    if !is_first_try {
                        return Err(error);
                    }
                    is_first_try = false;
                }
                other => return other,
            }
        }
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    patiently(options.connect()).await
}

async fn patiently<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(PATIENCE, work).await.unwrap_or_else(|_| {
        let silence = std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer");
        Err(sqlx::Error::Io(silence))
    })
}
