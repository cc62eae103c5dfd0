//! One writer: takes what waits, stores it, answers.

use std::sync::Arc;
use std::time::Duration;

use contract::event::Event;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;

use super::group::group;
use super::outcome::{Outcome, outcomes};
use super::{Request, StoreError};
use crate::db::{self, events::Stored};

/// How many events a writer takes at once, unless a single request brings more.
const MAX_GROUP: usize = 1000;

/// How long the database may take to answer before it counts as gone.
const PATIENCE: Duration = Duration::from_secs(10);

type Waiting = Arc<Mutex<mpsc::UnboundedReceiver<Request>>>;

/// Stores what waits until nothing can come any more.
pub(super) async fn run(waiting: Waiting, options: PgConnectOptions) {
    let mut store = Store { options, connection: None };
    loop {
        let requests = gather(&mut *waiting.lock().await).await;
        if requests.is_empty() {
            return;
        }
        serve(&mut store, requests).await;
    }
}

/// Waits for a request and takes along what else is there; empty when nothing can come any more.
async fn gather(waiting: &mut mpsc::UnboundedReceiver<Request>) -> Vec<Request> {
    let mut requests: Vec<Request> = waiting.recv().await.into_iter().collect();
    let mut events: usize = requests.iter().map(|request| request.events.len()).sum();
    while events < MAX_GROUP
        && let Ok(request) = waiting.try_recv()
    {
        events += request.events.len();
        requests.push(request);
    }
    requests
}

/// Stores the events of all requests together and answers each.
async fn serve(store: &mut Store, requests: Vec<Request>) {
    let mut events = Vec::new();
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.push((request.events.len(), request.answer));
        events.extend(request.events);
    }
    let result = store.all(&events).await;
    let mut outcomes = result.as_ref().map(|outcomes| outcomes.iter().cloned());
    for (count, answer) in answers {
        let own = match &mut outcomes {
            Ok(outcomes) => Ok(outcomes.by_ref().take(count).collect()),
            Err(error) => Err((*error).clone()),
        };
        // A caller that has gone away meanwhile sends again and gets `duplicate`.
        let _ = answer.send(own);
    }
}

/// A connection that is made when it is needed.
struct Store {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Store {
    /// Stores all of `events`. When the database objects to what an event says, the group is halved until that event stands
    /// alone, so that it cannot take others with it.
    async fn all(&mut self, events: &[Event]) -> Result<Vec<Outcome>, StoreError> {
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
