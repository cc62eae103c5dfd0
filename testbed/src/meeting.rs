//! A scripted meeting: people join, change their names, record, leave and are removed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::jibri::{self, Jibri, Recording};
use crate::prosody::{CONFERENCE, DOMAIN, GUEST_DOMAIN, PASSWORD, Prosody, RECORDER_DOMAIN};
use crate::xmpp::{Client, Login, RecordingStatus, display_name};

const ALICE: &str = "a11ce000";
const BOB: &str = "b0b00000";
const CAROL: &str = "ca401000";
const RECORDER: &str = "0f0f0f0f";

/// A meeting with its recording running.
#[derive(Debug)]
pub struct Meeting<'a> {
    prosody: &'a Prosody,
    room: String,
    session_id: String,
    focus: Client,
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

impl<'a> Meeting<'a> {
    /// Focus opens the room; Alice, Bob and the recorder come in; Alice changes her name; the recording starts.
    ///
    /// `says` is told each step before it is taken.
    pub fn begin(
        prosody: &'a Prosody,
        jibri: &Jibri,
        invitation: Invitation<'_>,
        says: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Self> {
        let Invitation { room: name, session_id, .. } = invitation;
        let room = format!("{name}@{CONFERENCE}");
        says("focus opens the room")?;
        let focus = prosody.focus()?;
        focus.join(&room, "focus", "")?;
        says("Alice and Bob join with the tokens that the API gave them")?;
        let alice = account(prosody, DOMAIN, "alice", token(invitation.alice)?)?;
        alice.join(&room, ALICE, &display_name("Alice"))?;
        let bob = account(prosody, DOMAIN, "bob", token(invitation.bob)?)?;
        bob.join(&room, BOB, &display_name("Bob"))?;
        says("Alice becomes Alice Liddell")?;
        alice.update(&room, ALICE, &display_name("Alice Liddell"))?;
        says("Alice starts a recording; the recorder joins, and its ffmpeg writes")?;
        let recorder = account(prosody, RECORDER_DOMAIN, "recorder", PASSWORD)?;
        recorder.join(&room, RECORDER, &format!("<session_id>{session_id}</session_id><mode>file</mode>"))?;
        let recording = jibri.record(session_id, name)?;
        let session_id = session_id.to_owned();
        let meeting = Self { prosody, room, session_id, focus, alice, bob, recorder, recording };
        meeting.announce("on", ALICE)?;
        Ok(meeting)
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
        let carol = Client::connect(self.prosody.port(), Login::Anonymous { domain: GUEST_DOMAIN })?;
        carol.join(&self.room, CAROL, &display_name("Carol"))?;
        carol.cut()?;
        says("Bob is removed from the room")?;
        self.focus.kick(&self.room, BOB, "The host has ended your part")?;
        drop(self.bob);
        says("Alice stops the recording; Jibri finishes the file and writes metadata.json")?;
        announce(&self.focus, &self.room, &self.session_id, "off", ALICE)?;
        let url = format!("https://{DOMAIN}/{}", self.room.split('@').next().unwrap_or_default());
        let meeting =
            jibri::Meeting { url: &url, participants: &[("u-17", "Alice Liddell")], session_id: "" };
        let media = self.recording.stop(meeting)?;
        self.recorder.leave(&self.room, RECORDER, "")?;
        says("Alice leaves, and the room ends")?;
        self.alice.leave(&self.room, ALICE, "")?;
        self.focus.leave(&self.room, "focus", "")?;
        Ok(media)
    }

    fn announce(&self, status: &str, initiator: &str) -> Result<()> {
        announce(&self.focus, &self.room, &self.session_id, status, initiator)
    }
}

fn account(prosody: &Prosody, domain: &str, user: &str, password: &str) -> Result<Client> {
    Client::connect(prosody.port(), Login::Account { domain, user, password })
}

/// The token in a meeting's address.
fn token(url: &str) -> Result<&str> {
    url.split_once("?jwt=").map(|(_, token)| token).with_context(|| format!("{url} holds no token"))
}

/// Focus tells the room the state of the recording.
fn announce(focus: &Client, room: &str, session_id: &str, status: &str, initiator: &str) -> Result<()> {
    let initiator = format!("{room}/{initiator}");
    let status = RecordingStatus { status, session_id, initiator: &initiator, failure_reason: "" };
    focus.update(room, "focus", &status.xml())
}
