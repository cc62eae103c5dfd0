//! A stand-in for jicofo: focus in one room, which answers requests to record and tells the room how the recording stands.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::prosody::Prosody;
use crate::xmpp::{Client, Element, RecordingStatus, escaped};

const JIBRI: &str = "http://jitsi.org/protocol/jibri";
/// The nick that every focus has.
const NICK: &str = "focus";

/// Focus in one room. Dropping it cuts its connection.
#[derive(Debug)]
pub struct Focus {
    client: Client,
    room: String,
}

/// Somebody's request that a recording start.
#[derive(Debug, Clone)]
pub struct StartRequest {
    /// The occupant address of who asks.
    pub initiator: String,
    /// The request as it came.
    pub iq: Element,
}

/// Why focus starts nothing, in jicofo's words.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    /// Every recorder is busy.
    Busy,
    /// Who asks is no moderator.
    NotAllowed,
    /// The request makes no sense to focus.
    BadRequest,
}

impl Refusal {
    fn xml(self) -> &'static str {
        match self {
            Self::Busy => {
                "<error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
                 <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>all Jibris are busy</text></error>"
            }
            Self::NotAllowed => {
                "<error type='cancel'><not-allowed xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            }
            Self::BadRequest => {
                "<error type='modify'><bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
            }
        }
    }
}

impl Focus {
    /// Opens `room` (a bare address).
    pub fn open(prosody: &Prosody, room: &str) -> Result<Self> {
        Self::enter(prosody.focus()?, room)
    }

    /// Enters `room` (a bare address), wherever that is, with a connection as focus.
    pub fn enter(client: Client, room: &str) -> Result<Self> {
        client.join(room, NICK, "")?;
        Ok(Self { client, room: room.to_owned() })
    }

    /// Focus's connection.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits until somebody in the room asks for a recording. Any other request is an error.
    pub fn start_request(&self, deadline: Duration) -> Result<StartRequest> {
        let iq = self.client.next_request(deadline)?;
        let jibri = iq.child("jibri").with_context(|| format!("focus was asked {iq:?}"))?;
        for (name, expected) in [("xmlns", JIBRI), ("action", "start"), ("recording_mode", "file")] {
            ensure!(jibri.attribute(name) == Some(expected), "{name} is not {expected} in {iq:?}");
        }
        let initiator = iq.attribute("from").unwrap_or_default().to_owned();
        if !initiator.starts_with(&format!("{}/", self.room)) {
            bail!("{initiator} is not in {}", self.room);
        }
        Ok(StartRequest { initiator, iq })
    }

    /// Accepts a request: a recorder was found and is on its way.
    pub fn accept(&self, request: &StartRequest, session_id: &str) -> Result<()> {
        let jibri = format!("<jibri xmlns='{JIBRI}' session_id='{}'/>", escaped(session_id));
        self.client.answer(&request.iq, "result", &jibri)
    }

    /// Refuses a request.
    pub fn refuse(&self, request: &StartRequest, refusal: Refusal) -> Result<()> {
        self.client.answer(&request.iq, "error", refusal.xml())
    }

    /// Tells the room how a recording stands. `initiator` is the occupant address of who started or stopped it.
    pub fn announce(&self, status: RecordingStatus<'_>) -> Result<()> {
        self.client.update(&self.room, NICK, &status.xml())
    }

    /// Removes an occupant from the room.
    pub fn kick(&self, nick: &str, reason: &str) -> Result<()> {
        self.client.kick(&self.room, nick, reason)
    }

    /// Leaves the room, which ends when nobody else is in it.
    pub fn leave(self) -> Result<()> {
        self.client.leave(&self.room, NICK, "")
    }
}
