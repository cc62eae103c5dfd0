//! A scripted meeting: people join, change their names, record, leave and are removed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::focus::Focus;
use crate::jibri::{self, Jibri, Recording};
use crate::prosody::{AUTH_DOMAIN, CONFERENCE, DOMAIN, GUEST_DOMAIN, PASSWORD, Prosody, RECORDER_DOMAIN};
use crate::xmpp::{Client, Login, RecordingStatus, display_name};

const ALICE: &str = "a11ce000";
const BOB: &str = "b0b00000";
const CAROL: &str = "ca401000";
const RECORDER: &str = "0f0f0f0f";
/// How long the rule in people's tokens may take to start a recording.
const RULE: Duration = Duration::from_secs(30);

/// A meeting with its recording running.
#[derive(Debug)]
pub struct Meeting {
    port: u16,
    room: String,
    session_id: String,
    focus: Focus,
    alice: Client,
    bob: Client,
    recorder: Client,
    recording: Recording,
}

/// Who comes to a meeting, and with what.
#[derive(Debug, Clone, Copy)]
pub struct Invitation<'a> {
    /// The room's name at Jitsi.
    pub room: &'a str,
    /// The address that lets Alice in, with her token.
    pub alice: &'a str,
    /// The address that lets Bob in, with his token.
    pub bob: &'a str,
    /// The recording's session.
    pub session_id: &'a str,
}

/// Who starts the recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// Alice, with the button.
    ByHand,
    /// The event module, by the rule in the tokens.
    ByRule,
}

impl Meeting {
    /// Focus opens the room; Alice, Bob and the recorder come in; Alice changes her name and starts the recording.
    ///
    /// `says` is told each step before it is taken.
    pub fn begin(
        prosody: &Prosody,
        jibri: &Jibri,
        invitation: Invitation<'_>,
        says: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Self> {
        Self::begin_at(prosody.port(), jibri, invitation, says)
    }

    /// The same in any Prosody with the same hosts and accounts that serves clients on a port of loopback.
    pub fn begin_at(
        port: u16,
        jibri: &Jibri,
        invitation: Invitation<'_>,
        says: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Self> {
        Self::begin_with(port, jibri, invitation, Start::ByHand, says)
    }

    /// The same in a room with the recording trigger `automatic-2nd-participant`: nobody touches a button, and the recording
    /// starts because Bob is the second person. It is an error if it does not.
    pub fn begin_by_rule(
        prosody: &Prosody,
        jibri: &Jibri,
        invitation: Invitation<'_>,
        says: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Self> {
        Self::begin_with(prosody.port(), jibri, invitation, Start::ByRule, says)
    }

    fn begin_with(
        port: u16,
        jibri: &Jibri,
        invitation: Invitation<'_>,
        start: Start,
        says: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Self> {
        let Invitation { room: name, session_id, .. } = invitation;
        let room = format!("{name}@{CONFERENCE}");
        says("focus opens the room")?;
        let focus = Focus::enter(account(port, AUTH_DOMAIN, "focus", PASSWORD)?, &room)?;
        says("Alice and Bob join with the tokens that the API gave them")?;
        let alice = account(port, DOMAIN, "alice", token(invitation.alice)?)?;
        alice.join(&room, ALICE, &display_name("Alice"))?;
        let bob = account(port, DOMAIN, "bob", token(invitation.bob)?)?;
        bob.join(&room, BOB, &display_name("Bob"))?;
        says("Alice becomes Alice Liddell")?;
        alice.update(&room, ALICE, &display_name("Alice Liddell"))?;
        match start {
            Start::ByHand => says("Alice starts a recording; the recorder joins, and its ffmpeg writes")?,
            Start::ByRule => {
                says("Bob is the second person: Prosody asks focus for a recording in Alice's name")?;
                let request = focus.start_request(RULE)?;
                ensure!(request.initiator == format!("{room}/{ALICE}"), "asked by {}", request.initiator);
                focus.accept(&request, session_id)?;
                says("focus accepts; the recorder joins, and its ffmpeg writes")?;
            }
        }
        let recorder = account(port, RECORDER_DOMAIN, "recorder", PASSWORD)?;
        recorder.join(&room, RECORDER, &format!("<session_id>{session_id}</session_id><mode>file</mode>"))?;
        let recording = jibri.record(session_id, name)?;
        announce(&focus, &room, session_id, "on")?;
        let session_id = session_id.to_owned();
        Ok(Self { port, room, session_id, focus, alice, bob, recorder, recording })
    }

    /// Waits until as many more bytes are recorded.
    pub fn record(&self, bytes: u64) -> Result<()> {
        self.recording.grow(bytes, Duration::from_mins(1))
    }

    /// Carol joins and loses her connection; focus removes Bob; Alice stops the recording and leaves, and the room ends.
    ///
    /// Returns the finished media file.
    pub fn end(self, says: &mut dyn FnMut(&str) -> Result<()>) -> Result<Option<PathBuf>> {
        says("Carol, a guest, joins and loses her connection")?;
        let carol = Client::connect(self.port, Login::Anonymous { domain: GUEST_DOMAIN })?;
        carol.join(&self.room, CAROL, &display_name("Carol"))?;
        carol.cut()?;
        says("Bob is removed from the room")?;
        self.focus.kick(BOB, "The host has ended your part")?;
        drop(self.bob);
        says("Alice stops the recording; Jibri finishes the file and writes metadata.json")?;
        announce(&self.focus, &self.room, &self.session_id, "off")?;
        let url = format!("https://{DOMAIN}/{}", self.room.split('@').next().unwrap_or_default());
        let meeting =
            jibri::Meeting { url: &url, participants: &[("u-17", "Alice Liddell")], session_id: "" };
        let media = self.recording.stop(meeting)?;
        self.recorder.leave(&self.room, RECORDER, "")?;
        says("Alice leaves, and the room ends")?;
        self.alice.leave(&self.room, ALICE, "")?;
        self.focus.leave()?;
        Ok(media)
    }
}

fn account(port: u16, domain: &str, user: &str, password: &str) -> Result<Client> {
    Client::connect(port, Login::Account { domain, user, password })
}

/// The token in a meeting's address.
fn token(url: &str) -> Result<&str> {
    let (_, rest) = url.split_once("?jwt=").with_context(|| format!("{url} holds no token"))?;
    Ok(rest.split('#').next().unwrap_or_default())
}

/// Focus tells the room the state of the recording, which Alice starts and stops.
fn announce(focus: &Focus, room: &str, session_id: &str, status: &str) -> Result<()> {
    let initiator = format!("{room}/{ALICE}");
    focus.announce(RecordingStatus { status, session_id, initiator: &initiator, failure_reason: "" })
}
