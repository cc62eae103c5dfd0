//! A meeting on a real Prosody and a recording by a real ffmpeg reach Postgres through the real agent and the real API.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]

use std::collections::BTreeSet;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;
use testbed::api;
use testbed::jibri;
use testbed::meeting::{Invitation, Meeting};
use testbed::ports;
use testbed::prosody::{CONFERENCE, GUEST_DOMAIN};
use testbed::proxy::{Mode, Proxy};
use testbed::spool::{self, SpoolEvent};
use testbed::stack::Stack;
use testbed::wait::eventually;
use testbed::xmpp::{Client, Login, RecordingStatus, display_name};

const SOON: Duration = Duration::from_mins(1);
const SESSION: &str = "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21";

/// A stack with one meeting created.
struct Scene {
    stack: Stack,
    alice: api::Meeting,
    bob: api::Meeting,
    _directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let stack = Stack::start_anywhere(directory.path()).unwrap();
        Self::with(directory, stack)
    }

    fn with(directory: TempDir, stack: Stack) -> Self {
        stack.client.ensure_room("daily").unwrap();
        let alice = stack.client.create_meeting("daily").unwrap();
        let bob = stack.api.client("bob").unwrap().create_meeting("daily").unwrap();
        assert_eq!(alice.id, bob.id);
        assert_eq!(bob.host_room_url, "");
        Self { stack, alice, bob, _directory: directory }
    }

    /// Holds the scripted meeting with its recording; returns when its last event is in the spool.
    fn hold(&self) {
        let ended = self.endings();
        let invitation = Invitation {
            room: &self.alice.room_name,
            alice: &self.alice.host_room_url,
            bob: &self.bob.room_url,
            session_id: SESSION,
        };
        let meeting =
            Meeting::begin(&self.stack.prosody, &self.stack.jibri, invitation, &mut |_| Ok(())).unwrap();
        meeting.record(20_000).unwrap();
        assert!(meeting.end(&mut |_| Ok(())).unwrap().is_some());
        // Carol's lost connection is noticed in its own time, and the room ends after her.
        assert!(eventually(SOON, || self.endings() > ended));
    }

    /// How often the meeting's room has ended.
    fn endings(&self) -> usize {
        let events = spool::events(&self.stack.spool()).unwrap();
        let is_end = |it: &SpoolEvent| it.event == "muc-room-destroyed" && it.room == self.alice.room_name;
        events.into_iter().filter(is_end).count()
    }

    /// The ids that Prosody's module has written for this meeting, in order.
    fn written(&self) -> Vec<String> {
        let events = spool::events(&self.stack.spool()).unwrap();
        events.into_iter().filter(|event| event.room == self.alice.room_name).map(|event| event.id).collect()
    }

    /// The ids that Postgres has for this meeting, in the order of storing.
    fn stored(&self) -> Vec<String> {
        let statement = format!(
            "SELECT id FROM reflector.meeting_event WHERE meeting_id = '{}' ORDER BY position",
            self.alice.id
        );
        self.stack.api.sql(&statement).unwrap().lines().map(str::to_owned).collect()
    }

    /// Waits until all events of the module and `files` notices are stored; nothing else may be.
    fn assert_all_stored_once(&self, files: usize) {
        // A room that ends may still be writing.
        let expected = || self.written().len() + files;
        assert!(
            eventually(SOON, || self.stored().len() >= expected()),
            "{:?} of {}",
            self.stored().len(),
            expected()
        );
        let (notices, events): (Vec<_>, Vec<_>) =
            self.stored().into_iter().partition(|id| id.starts_with("rec_"));
        assert_eq!(events, self.written(), "every event once, in the order of writing");
        assert_eq!(notices.len(), files);
        assert_eq!(notices.iter().collect::<BTreeSet<_>>().len(), files);
    }

    fn meeting(&self) -> Value {
        self.stack.client.meeting(&self.alice.id).unwrap()
    }
}

fn named<'a>(list: &'a Value, member: &str, value: &str) -> &'a Value {
    list.as_array()
        .unwrap()
        .iter()
        .find(|item| item[member] == value)
        .unwrap_or_else(|| panic!("no {value} in {list:#}"))
}

#[test]
fn a_whole_meeting_and_its_recording_are_stored_once_and_in_order() {
    let scene = Scene::new();
    scene.hold();
    scene.assert_all_stored_once(1);

    let meeting = scene.meeting();
    let alice = named(&meeting["participants"], "display_name", "Alice Liddell");
    let bob = named(&meeting["participants"], "display_name", "Bob");
    named(&meeting["participants"], "display_name", "Carol");
    assert_ne!(alice["user_id"], bob["user_id"]);
    assert!(alice["user_id"].is_string(), "the token's user: {alice:#}");
    let recording = &meeting["recordings"][0];
    assert_eq!(recording["session_id"], SESSION);

    let guide =
        scene.stack.api.sql(&format!("SELECT events FROM meeting WHERE id = '{}'", scene.alice.id)).unwrap();
    let events: Vec<Value> = serde_json::from_str(&guide).unwrap();
    assert_eq!(events.len(), scene.stored().len());
    let joined = events.iter().find(|event| event["type"] == "muc-occupant-joined").unwrap();
    assert!(joined["timestamp"].is_string() && joined["data"]["timestamp"].is_string());
}

#[test]
fn a_recording_whose_jibri_died_is_told_as_what_it_is() {
    let scene = Scene::new();
    let media = scene.stack.jibri.record(SESSION, &scene.alice.room_name).unwrap().crash().unwrap();
    let told = || {
        let events = scene.meeting()["events"].clone();
        events.as_array().unwrap().iter().find(|event| event["type"] == "recording_completed").cloned()
    };
    assert!(eventually(SOON, || told().is_some()));
    let notice = told().unwrap();
    assert_eq!(notice["data"]["recording_file"], media.to_str().unwrap());
    assert_eq!(notice["data"]["recording_status"], "truncated");
}

#[test]
fn a_recording_without_media_is_no_recording() {
    let scene = Scene::new();
    let empty = scene.stack.jibri.accept("empty-session", &scene.alice.room_name).unwrap();
    let url = format!("https://meet.test/{}", scene.alice.room_name);
    let meeting = jibri::Meeting { url: &url, participants: &[], session_id: "" };
    assert_eq!(empty.stop(meeting).unwrap(), None);
    scene.hold();
    scene.assert_all_stored_once(1);
}

#[test]
fn a_network_that_cuts_and_swallows_answers_doubles_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let port = ports::free().unwrap();
    let proxy = Proxy::start(port).unwrap();
    let stack = Stack::start(directory.path(), port, Some(&proxy.url())).unwrap();
    let scene = Scene::with(directory, stack);
    proxy.set(Mode::LoseAnswers);
    scene.hold();
    assert!(eventually(SOON, || proxy.lost_answers() > 2), "nothing asked for an answer");
    proxy.set(Mode::Cut);
    let focus = scene.stack.prosody.focus().unwrap();
    focus.join(&format!("{}@{CONFERENCE}", scene.alice.room_name), "focus", "").unwrap();
    drop(focus);
    proxy.delay(Duration::from_millis(150));
    proxy.set(Mode::Pass);
    scene.assert_all_stored_once(1);
}

#[test]
fn programs_that_stand_still_for_a_while_lose_nothing() {
    let mut scene = Scene::new();
    scene.stack.agent.process().signal(Signal::SIGSTOP).unwrap();
    scene.hold();
    scene.stack.api.process().signal(Signal::SIGSTOP).unwrap();
    scene.stack.agent.process().signal(Signal::SIGCONT).unwrap();
    let status =
        || -> Value { serde_json::from_str(&scene.stack.agent.ask(&["status", "--json"]).unwrap()).unwrap() };
    assert!(eventually(SOON, || status()["ready"].as_u64() > Some(0)), "{}", status());
    scene.stack.api.process().signal(Signal::SIGCONT).unwrap();
    scene.assert_all_stored_once(1);
}

#[test]
fn nobody_stays_in_a_meeting_whose_prosody_was_killed() {
    let mut scene = Scene::new();
    let room = format!("{}@{CONFERENCE}", scene.alice.room_name);
    let focus = scene.stack.prosody.focus().unwrap();
    focus.join(&room, "focus", "").unwrap();
    focus.update(&room, "focus", &recording_on()).unwrap();
    let guest =
        Client::connect(scene.stack.prosody.port(), Login::Anonymous { domain: GUEST_DOMAIN }).unwrap();
    guest.join(&room, "9e570000", &display_name("Guest")).unwrap();
    let people = |count: u64| eventually(SOON, || scene.meeting()["num_clients"] == count);
    assert!(people(1));
    assert_eq!(scene.meeting()["recordings"][0]["running"], true);
    scene.stack.prosody.kill().unwrap();
    scene.stack.prosody.restart().unwrap();
    let people = |count: u64| eventually(SOON, || scene.meeting()["num_clients"] == count);
    assert!(people(0));
    assert_eq!(scene.meeting()["recordings"][0]["running"], false);
}

fn recording_on() -> String {
    RecordingStatus { status: "on", session_id: SESSION, ..RecordingStatus::default() }.xml()
}
