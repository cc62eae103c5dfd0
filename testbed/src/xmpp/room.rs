//! What clients do in a room. Each call returns when the server has answered, so that calls happen in their order.

use anyhow::{Result, bail};
use quick_xml::escape::escape;

use super::client::Client;

const MUC: &str = "http://jabber.org/protocol/muc";

/// Text made safe for XML.
pub fn escaped(text: &str) -> String {
    escape(text).into_owned()
}

/// The presence extension by which Jitsi's clients tell their name.
pub fn display_name(name: &str) -> String {
    format!("<nick xmlns='http://jabber.org/protocol/nick'>{}</nick>", escaped(name))
}

/// The presence extension by which focus tells the state of a recording.
#[derive(Debug, Clone, Copy, Default)]
pub struct RecordingStatus<'a> {
    /// `on` or `off`.
    pub status: &'a str,
    /// The recording session.
    pub session_id: &'a str,
    /// The occupant address of who started or stopped it; empty when nobody did.
    pub initiator: &'a str,
    /// `busy` or `error`; empty when nothing failed.
    pub failure_reason: &'a str,
}

impl RecordingStatus<'_> {
    /// The extension's XML.
    pub fn xml(&self) -> String {
        let attribute = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!(" {name}='{}'", escaped(value)),
        };
        format!(
            "<jibri-recording-status xmlns='http://jitsi.org/protocol/jibri' recording_mode='file'{}{}{}{}/>",
            attribute("status", self.status),
            attribute("session_id", self.session_id),
            attribute("initiator", self.initiator),
            attribute("failure_reason", self.failure_reason),
        )
    }
}

impl Client {
    /// Enters `room` (a bare address) as `nick`, with `extensions` in the presence.
    pub fn join(&self, room: &str, nick: &str, extensions: &str) -> Result<()> {
        self.present(room, nick, "", &format!("<x xmlns='{MUC}'/>{extensions}"))
    }

    /// Sends a new presence to a room that this client is in.
    pub fn update(&self, room: &str, nick: &str, extensions: &str) -> Result<()> {
        self.present(room, nick, "", extensions)
    }

    /// Leaves a room; `status` is the text that goes with it, empty for none.
    pub fn leave(&self, room: &str, nick: &str, status: &str) -> Result<()> {
        let status =
            if status.is_empty() { String::new() } else { format!("<status>{}</status>", escaped(status)) };
        self.present(room, nick, " type='unavailable'", &status)
    }

    /// Removes an occupant from the room.
    pub fn kick(&self, room: &str, nick: &str, reason: &str) -> Result<()> {
        let item = format!("<item nick='{nick}' role='none'><reason>{}</reason></item>", escaped(reason));
        self.ask(room, "set", &format!("<query xmlns='{MUC}#admin'>{item}</query>")).map(drop)
    }

    /// Gives a user (a bare address) an affiliation such as `owner` or `outcast`.
    pub fn affiliate(&self, room: &str, user: &str, affiliation: &str) -> Result<()> {
        let item = format!("<item jid='{user}' affiliation='{affiliation}'/>");
        self.ask(room, "set", &format!("<query xmlns='{MUC}#admin'>{item}</query>")).map(drop)
    }

    /// Ends the room for everybody in it.
    pub fn destroy(&self, room: &str, reason: &str) -> Result<()> {
        let destroy = format!("<destroy><reason>{}</reason></destroy>", escaped(reason));
        self.ask(room, "set", &format!("<query xmlns='{MUC}#owner'>{destroy}</query>")).map(drop)
    }

    /// Sends a presence and waits until the room has sent it back.
    fn present(&self, room: &str, nick: &str, kind: &str, payload: &str) -> Result<()> {
        let id = self.new_id();
        self.send(&format!("<presence id='{id}' to='{room}/{nick}'{kind}>{payload}</presence>"))?;
        let answer = self.expect("its own presence", |it| {
            it.name == "presence"
                && it.attribute("id") == Some(&id)
                && (it.has_status("110") || it.child("error").is_some())
        })?;
        if let Some(error) = answer.child("error") {
            let condition = error.children.first().map_or("error", |child| child.name.as_str());
            bail!("the room {room} refused {nick}: {condition}");
        }
        Ok(())
    }
}
