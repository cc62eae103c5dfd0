//! A Prosody with the module, people to use it, and ways to look at what it wrote.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use testbed::prosody::{CONFERENCE, Clock, GUEST_DOMAIN, PASSWORD, Prosody};
use testbed::spool::{self, SpoolEvent};
use testbed::wait::eventually;
use testbed::xmpp::{Client, Login, RecordingStatus};

pub(crate) const SOON: Duration = Duration::from_secs(15);
/// What signs the tokens that open rooms.
pub(crate) const TOKEN_SECRET: &str = "what signs tokens in these tests";
pub(crate) const SESSION: &str = "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21";

/// The members of `data` that a line of a story shows.
const TOLD: [&str; 9] = [
    "occupant_id",
    "display_name",
    "kind",
    "role",
    "session_id",
    "initiator_name",
    "failure_reason",
    "reason",
    "actor",
];

/// A Prosody, the directory that its module writes to, and the people who use it.
pub(crate) struct Scene {
    pub(crate) prosody: Prosody,
    pub(crate) spool: PathBuf,
    directory: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with_clock(Clock::System)
    }

    pub(crate) fn with_clock(clock: Clock) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        fs::create_dir(&spool).unwrap();
        Self::start(directory, spool, clock)
    }

    pub(crate) fn in_directory(directory: TempDir, spool: PathBuf) -> Self {
        Self::start(directory, spool, Clock::System)
    }

    fn start(directory: TempDir, spool: PathBuf, clock: Clock) -> Self {
        let home = directory.path().join("prosody");
        let prosody = Prosody::start_with_clock(&home, &spool, TOKEN_SECRET, clock).unwrap();
        Self { prosody, spool, directory }
    }

    /// Starts Prosody anew with a copy of the module that has no `reflector_triggers.lib.lua` beside it.
    pub(crate) fn lose_the_rules(&mut self) {
        let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/prosody").canonicalize().unwrap();
        let copy = self.directory.path().join("half");
        fs::create_dir(&copy).unwrap();
        let module = "mod_reflector_events.lua";
        fs::copy(whole.join(module), copy.join(module)).unwrap();
        let configuration = self.directory.path().join("prosody/prosody.cfg.lua");
        let text = fs::read_to_string(&configuration).unwrap();
        fs::write(&configuration, text.replace(whole.to_str().unwrap(), copy.to_str().unwrap())).unwrap();
        self.prosody.stop().unwrap();
        self.prosody.restart().unwrap();
    }

    pub(crate) fn visitor(&self) -> Client {
        Client::connect(self.prosody.port(), Login::Anonymous { domain: GUEST_DOMAIN }).unwrap()
    }

    pub(crate) fn account(&self, domain: &str, user: &str) -> Client {
        Client::connect(self.prosody.port(), Login::Account { domain, user, password: PASSWORD }).unwrap()
    }

    pub(crate) fn focus(&self) -> Client {
        self.prosody.focus().unwrap()
    }

    /// The events of the main conference component, in the order of writing.
    pub(crate) fn events(&self) -> Vec<SpoolEvent> {
        let events = spool::events(&self.spool).unwrap();
        let boots: BTreeSet<String> = events
            .iter()
            .filter(|event| event.event == "source-started" && event.room == CONFERENCE)
            .map(|event| event.text("boot_id").to_owned())
            .collect();
        events.into_iter().filter(|event| boots.contains(event.text("boot_id"))).collect()
    }

    /// Waits until an event of this name has been written `count` times.
    pub(crate) fn wait_for(&self, name: &str, count: usize) {
        let found =
            eventually(SOON, || self.events().iter().filter(|event| event.event == name).count() >= count);
        assert!(found, "no {name} (times {count}) in {:#?}", story(&self.events()));
    }
}

pub(crate) fn room(name: &str) -> String {
    format!("{name}@{CONFERENCE}")
}

/// Each event as one short line.
pub(crate) fn story(events: &[SpoolEvent]) -> Vec<String> {
    events.iter().map(line).collect()
}

fn line(event: &SpoolEvent) -> String {
    let mut parts = vec![event.room.clone(), event.event.clone()];
    for member in TOLD {
        if let Some(value) = event.data.get(member).and_then(|value| value.as_str()) {
            parts.push(format!("{member}={value}"));
        }
    }
    if event.data.contains_key("snapshot") {
        parts.push("snapshot".to_owned());
    }
    parts.join(" ")
}

pub(crate) fn recording<'a>(status: &'a str, initiator: &'a str) -> String {
    RecordingStatus { status, session_id: SESSION, initiator, ..RecordingStatus::default() }.xml()
}

/// Ids are unique, rise, and are made of the boot id and a sequence number without gaps; time never goes back.
pub(crate) fn assert_ids_and_times(events: &[SpoolEvent]) {
    let boot_id = events[0].text("boot_id");
    assert_eq!(boot_id.len(), 20);
    for (index, event) in events.iter().enumerate() {
        let seq = index + 1;
        assert_eq!(event.data["seq"], seq);
        assert_eq!(event.id, format!("evt_{boot_id}{seq:08x}"));
        assert_eq!(event.timestamp.len(), "2025-01-15T10:30:00.000Z".len());
    }
    assert!(events.is_sorted_by(|a, b| a.timestamp <= b.timestamp));
    assert!(events[0].text("source").ends_with("/conference.meet.test"));
}
