//! What the tests share.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use agent::config::{self, Config};
use agent::outbox::log::{Delivery, DeliveryLog, Filter};
use agent::outbox::model::{Cursor, Kind, NewItem, Progress};
use contract::id::EventId;

/// A secret that is long enough and belongs to nobody.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A configuration with everything below `directory`, and `more` TOML.
pub(crate) fn config(directory: &Path, more: &str) -> Config {
    let path = config_file(directory, more);
    let environment = [("JITSI_WEBHOOK_SECRET", SECRET)].into_iter().collect();
    config::load(Some(&path), &environment).unwrap().0
}

/// The same as a file.
pub(crate) fn config_file(directory: &Path, more: &str) -> PathBuf {
    let path = directory.join("agent.toml");
    let at = directory.display();
    let text = format!(
        "[api]\nurl = \"http://127.0.0.1:9\"\nrooms = [\"*\"]\n[spool]\ndirectory = \"{at}/spool\"\n[outbox]\ndirectory = \"{at}/outbox\"\n[event-sync]\nlisten = \"127.0.0.1:0\"\n{more}"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Waits until `find` finds something, for half a minute at most.
pub(crate) fn eventually<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut pause = Duration::from_micros(20);
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited half a minute for: {what}");
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// An event of `room`, to be queued.
pub(crate) fn item(id: &str, room: &str) -> NewItem {
    NewItem {
        id: EventId::parse(id).unwrap(),
        room: room.to_owned(),
        kind: Kind::Event,
        body: format!("{{\"id\":\"{id}\",\"event\":\"e\",\"room\":\"{room}\",\"timestamp\":0}}").into_bytes(),
        offset: 0,
        parked: None,
    }
}

/// A cursor at `offset` of a file that has none yet.
pub(crate) fn progress(offset: u64) -> Progress {
    Progress::Spool(Cursor {
        file: 0,
        path: "/spool/a.jsonl".into(),
        identity: (1, 2),
        head: vec![1],
        offset,
        guard: vec![2],
    })
}

/// Everything that the delivery log of `directory` has, the newest first.
pub(crate) fn deliveries(directory: &Path) -> Vec<Delivery> {
    let log = DeliveryLog::open(directory).unwrap();
    log.list(&Filter::default(), None, 10_000).unwrap()
}
