//! Webhooks that go out: to the address that a room has, and to the processing pipeline.
//!
//! The transaction that ends a meeting or finds a recording in the storage also notes, by a trigger, that this is to be told. What
//! follows only ever reads what is noted, so a process that dies anywhere costs a repetition under the same id.
//!
//! - [`announce`]: of each fact, one delivery for each receiver; its [`body`] is made then.
//! - [`sender`]: deliveries are sent, receiver by receiver, until they are delivered or parked; [`verdict`] decides.
//! - [`client`] sends one, signed, and says what came of it; [`address`] tells which addresses may be sent to.

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::Notify;

use crate::config::{self, Pipeline};
use crate::storage::Storage;

pub mod address;
mod announce;
pub mod body;
pub mod client;
pub mod retention;
pub mod sender;
pub mod verdict;

use address::Guard;
use client::WebhookClient;

/// The way to all that is done with webhooks.
#[derive(Debug, Clone)]
pub struct Webhooks {
    db: PgPool,
    rooms: WebhookClient,
    pipeline: Option<(Pipeline, WebhookClient)>,
    storage: Option<Arc<Storage>>,
    wake: Arc<Notify>,
}

/// Whom a delivery is for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Target<'a> {
    Pipeline,
    /// The room with this id.
    Room(&'a str),
}

impl Webhooks {
    /// Webhooks of the meetings in `db`, whose recordings are in `storage`.
    pub fn new(
        db: PgPool,
        settings: &config::Webhooks,
        storage: Option<Arc<Storage>>,
    ) -> Result<Self, reqwest::Error> {
        let pipeline = match &settings.pipeline {
            Some(pipeline) => Some((pipeline.clone(), WebhookClient::trusting()?)),
            None => None,
        };
        let rooms = WebhookClient::guarded(Guard::new(settings.allowed_networks.clone()))?;
        Ok(Self { db, rooms, pipeline, storage, wake: Arc::new(Notify::new()) })
    }

    /// Sends to addresses that rooms have.
    pub fn client(&self) -> &WebhookClient {
        &self.rooms
    }

    /// Has this process look at once for something to send.
    pub fn wake(&self) {
        self.wake.notify_one();
    }
}

impl Target<'_> {
    /// The target with this name in the database.
    fn parse(name: &str) -> Option<Target<'_>> {
        if name == "pipeline" { Some(Target::Pipeline) } else { name.strip_prefix("room:").map(Target::Room) }
    }
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pipeline => f.write_str("pipeline"),
            Self::Room(id) => write!(f, "room:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_read_as_it_is_written() {
        for target in [Target::Pipeline, Target::Room("r-1"), Target::Room("pipeline")] {
            assert_eq!(Target::parse(&target.to_string()), Some(target));
        }
        assert_eq!(Target::parse("elsewhere"), None);
    }
}
