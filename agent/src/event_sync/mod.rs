//! The `event_sync` source: takes what the stock `mod_event_sync_component` of jitsi-contrib posts, for hosts where our own
//! Prosody module cannot be installed.
//!
//! The module keeps its retries in memory, three of them a second apart, so an answer of ours decides whether an event
//! lives: 200 comes after the outbox has committed it. What such events lack stays lacking: they have whole seconds, no
//! order, no names from presence and no recordings; `data.source` is `event_sync`, so that a reader can tell.

pub mod translate;

use hyper::StatusCode;
use tracing::{debug, warn};

use self::translate::{Translated, translate};
use crate::chain::Chain;
use crate::outbox::model::{Kind, NewItem, Progress};
use crate::outbox::{Outbox, OutboxError};
use crate::rooms::Rooms;

/// The longest request that is taken, in bytes: a room's end lists everybody who was ever in it.
pub const MAX_REQUEST: usize = 1 << 20;

/// How much of a request that cannot be read is kept for a person.
const EXCERPT: usize = 64 * 1024;

/// Takes the stock module's requests into the outbox.
pub struct EventSync {
    rooms: Rooms,
    hidden_domains: Rooms,
    outbox: Outbox,
}

/// What the module is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The status; the module tries again after 5xx, three times, and never after anything else.
    pub status: StatusCode,
    /// For whoever reads a trace.
    pub text: &'static str,
}

impl EventSync {
    /// Takes events of `rooms`; occupants of `hidden_domains` are no people.
    pub fn new(rooms: Rooms, hidden_domains: &[String], outbox: Outbox) -> Self {
        Self { rooms, hidden_domains: Rooms::new(hidden_domains), outbox }
    }

    /// Stores one request. The same bytes to the same route are the same event, so the module's retries add nothing.
    ///
    /// `now` is in milliseconds since 1970; only an event without a time of its own is dated by it.
    pub fn take(&self, route: translate::Route, body: &[u8], now: i64) -> Answer {
        match translate(route, body, &self.hidden_domains, now) {
            Ok(event) if !self.rooms.contains(event.room.as_str()) => {
                debug!(room = event.room.as_str(), "event_sync reported a room that is not Reflector's");
                Answer { status: StatusCode::OK, text: "not reported: api.rooms does not name this room" }
            }
            Ok(event) => self.store(&item(event), STORED),
            Err(error) => {
                let refused = Answer {
                    status: StatusCode::UNPROCESSABLE_ENTITY,
                    text: "kept, but not an event of mod_event_sync_component: see `reflector-agent deliveries list --state parked`",
                };
                let item = unreadable(route, body, &error);
                let answer = self.store(&item, refused);
                if answer == refused {
                    warn!(
                        count.parked = 1, event.id = %item.id, reason = %error,
                        "a request of event_sync is no event and is parked; see `reflector-agent deliveries show {}`",
                        item.id
                    );
                }
                answer
            }
        }
    }

    /// Commits; the answer says `done` only afterwards.
    fn store(&self, item: &NewItem, done: Answer) -> Answer {
        match self.outbox.append(std::slice::from_ref(item), &Progress::Posted) {
            Ok(_) => done,
            Err(error) => {
                warn!(
                    event.id = %item.id, room = item.room, error = %Chain(&error),
                    "an event of event_sync was not stored; its module tries again for a few seconds and then drops it"
                );
                match error {
                    OutboxError::Full(_) => unavailable("the outbox is at its size cap"),
                    _ => unavailable("the outbox cannot be written"),
                }
            }
        }
    }
}

const STORED: Answer = Answer { status: StatusCode::OK, text: "stored" };

const fn unavailable(text: &'static str) -> Answer {
    Answer { status: StatusCode::SERVICE_UNAVAILABLE, text }
}

fn item(event: Translated) -> NewItem {
    NewItem {
        id: event.id,
        room: event.room.as_str().to_owned(),
        kind: Kind::Event,
        body: event.body,
        offset: 0,
        parked: None,
    }
}

fn unreadable(route: translate::Route, body: &[u8], error: &translate::Unusable) -> NewItem {
    NewItem {
        id: route.id_of(body),
        room: String::new(),
        kind: Kind::Unreadable,
        body: body[..body.len().min(EXCERPT)].to_vec(),
        offset: 0,
        parked: Some(format!("a request of {} bytes is not an event of event_sync: {error}", body.len())),
    }
}
