//! One part on its way, with its tries.

use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use contract::upload::PartsRequest;
use contract::verdict::UNKNOWN_FLOOR;
use tokio::time::sleep;

use super::body::Meter;
use super::decide::{self, Otherwise};
use super::parts::Cut;
use super::storage::{self, Sent};
use super::turn::{Came, Shared, came};
use crate::delivery::backoff::Backoff;
use crate::delivery::gate::Health;

/// How often a part is sent before the upload waits.
const TRIES: u32 = 4;

/// The waits between them.
const PART_BACKOFF: Backoff = Backoff { min: Duration::from_millis(250), max: Duration::from_secs(2) };

/// A file on its way.
pub(super) struct Parts<'a> {
    pub(super) plan: &'a contract::upload::Upload,
    pub(super) cut: Cut,
    pub(super) file: &'a Arc<File>,
}

/// What sending a part said about the two servers.
#[derive(Default)]
pub(super) struct Learned {
    pub(super) api: Option<Health>,
    pub(super) storage: Option<Health>,
}

/// Sends one part, to `url` if there is one already, and says what that told about the two servers.
pub(super) async fn send_part(
    shared: &Shared,
    parts: &Parts<'_>,
    number: u32,
    url: Option<String>,
    meter: Arc<Meter>,
) -> (u32, Learned, Result<(), Came>) {
    let mut learned = Learned::default();
    let result = parts.send(shared, number, url, &meter, &mut learned).await;
    (number, learned, result)
}

impl Parts<'_> {
    /// Every try but the first gets an address of its own, which cannot have expired.
    async fn send(
        &self,
        shared: &Shared,
        number: u32,
        mut url: Option<String>,
        meter: &Arc<Meter>,
        learned: &mut Learned,
    ) -> Result<(), Came> {
        for tried in 1.. {
            let address = match url.take() {
                Some(url) => url,
                None => self.address(shared, number, learned).await?,
            };
            let (file, range) = (Arc::clone(self.file), self.cut.range(number));
            let sent = storage::send(
                &shared.http,
                &address,
                file,
                range,
                Arc::clone(&shared.flow),
                Arc::clone(meter),
            );
            let sent = sent.await;
            learned.storage = sent.health().or(learned.storage);
            let (note, floor) = match sent {
                Sent::Stored => break,
                Sent::Unknown => return Err(soon("the storage does not know the upload any more")),
                Sent::Unreadable => {
                    return Err(soon("the file became shorter while it was sent, or cannot be read"));
                }
                Sent::Refused(note) | Sent::Unreachable(note) => (note, Duration::ZERO),
                Sent::Busy { note, floor } => (note, floor),
            };
            tracing::debug!(number, tried, note, "a part did not arrive");
            if tried >= TRIES || floor > PART_BACKOFF.max {
                return Err(came((later(floor), format!("part {number}: {note}").into())));
            }
            sleep(PART_BACKOFF.wait(tried, fastrand::f64()).max(floor)).await;
        }
        Ok(())
    }

    /// A fresh address for one part.
    async fn address(&self, shared: &Shared, number: u32, learned: &mut Learned) -> Result<String, Came> {
        let request = PartsRequest { numbers: vec![number], list_stored: false };
        let reply = shared.api.parts(&self.plan.upload_id, &request).await;
        learned.api = Some(decide::health(reply.outcome));
        let reply = decide::of_parts(reply).map_err(came)?;
        let part = reply.urls.into_iter().find(|part| part.number == number);
        let part =
            part.ok_or_else(|| came((later(UNKNOWN_FLOOR), "the API gave no address for a part".into())))?;
        Ok(part.url)
    }
}

/// From the beginning, as soon as the backoff allows.
fn soon(note: &str) -> Came {
    came((later(Duration::ZERO), note.into()))
}

const fn later(floor: Duration) -> Otherwise {
    Otherwise::Later { floor, counts: true }
}
