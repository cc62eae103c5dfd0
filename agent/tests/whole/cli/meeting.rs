//! Rooms that the API knows no meeting for: what is said of them, and that nobody waits for them in vain.

use std::sync::atomic::Ordering;

use serde_json::Value;
use time::Duration;

use super::drain::{Running, configured, event};
use super::server::Server;
use super::{agent, text};
use crate::support::eventually;

fn drain(config: &std::path::Path) -> Option<(Value, String)> {
    let done = agent(config, &["drain", "--timeout", "60s", "--json"]);
    done.status.success().then(|| (serde_json::from_slice(&done.stdout).unwrap(), text(&done.stderr)))
}

#[test]
fn a_drain_does_not_wait_for_a_room_without_a_meeting_but_gives_it_another_try() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    server.no_meeting.store(true, Ordering::SeqCst);
    let config = configured(directory.path(), &server);
    let _running = Running::start(&config);
    event(directory.path(), "evt_1");
    eventually("the event to be refused", || server.at("/v1/jitsi/events").pop());
    let (left, said) = drain(&config).unwrap();
    assert_eq!((&left["drained"], &left["awaiting_meeting"]), (&true.into(), &1.into()), "{left}");
    assert!(said.contains("1 delivery waits for a meeting"), "{said}");
    server.no_meeting.store(false, Ordering::SeqCst);
    let (left, said) = drain(&config).unwrap();
    assert_eq!(left["awaiting_meeting"], 0, "the meeting appeared: {left}, {said}");
}
