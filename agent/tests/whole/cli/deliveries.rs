//! The delivery log: filters, what an operator may change, and the export.

use std::path::Path;

use agent::outbox::log::DeliveryLog;
use agent::outbox::model::{Kind, NewItem};
use serde_json::Value;

use super::{agent, fill, text};
use crate::support::{config_file, item};

/// A parked event, a ready one, a line that is no event, and a parked one of another room.
fn filled(directory: &Path) {
    let parked = |id, room, note: &str| NewItem { parked: Some(note.into()), ..item(id, room) };
    let line =
        NewItem { kind: Kind::Unreadable, body: b"=half".to_vec(), ..parked("evt_3", "", "=no event") };
    fill(
        directory,
        &[parked("evt_1", "a", "refused"), item("evt_2", "a"), line, parked("evt_4", "b", "refused")],
    );
}

fn ids(directory: &Path, config: &Path, arguments: &[&str]) -> Vec<String> {
    let output = agent(config, arguments);
    assert!(output.status.success(), "{arguments:?} in {}: {}", directory.display(), text(&output.stderr));
    let id = |line: &str| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned();
    text(&output.stdout).lines().map(id).collect()
}

#[test]
fn what_is_listed_is_what_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    filled(directory.path());
    for (filters, expected) in [
        (&["--state", "parked", "--room", "A@conference.example.com"][..], &["evt_1"][..]),
        (&["--kind", "unreadable"], &["evt_3"]),
        (&["--kind", "event", "--state", "ready"], &["evt_2"]),
        (&["--since", "1h"], &["evt_4", "evt_3", "evt_2", "evt_1"]),
        (&["--until", "1h"], &[]),
        (&["--since", "2020-01-01", "--until", "2020-01-02T00:00:00Z"], &[]),
        (&["--status", "503"], &[]),
    ] {
        let arguments = [&["deliveries", "list", "--json"], filters].concat();
        assert_eq!(ids(directory.path(), &config, &arguments), expected, "{filters:?}");
    }
    for wrong in [&["--since", "yesterday"][..], &["--status", "7"], &["--kind", "x"]] {
        let output = agent(&config, &[&["deliveries", "list"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_retry_by_filter_is_of_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    filled(directory.path());
    assert_eq!(agent(&config, &["deliveries", "retry"]).status.code(), Some(2), "nothing is named");
    assert_eq!(agent(&config, &["deliveries", "retry", "evt_1", "--all"]).status.code(), Some(2));
    let said = agent(&config, &["deliveries", "retry", "--room", "b", "--since", "1h"]);
    assert!(text(&said.stdout).starts_with("1 parked delivery is ready again"), "{said:?}");
    let parked = ["deliveries", "list", "--json", "--state", "parked"];
    assert_eq!(ids(directory.path(), &config, &parked), ["evt_3", "evt_1"]);
    let said = agent(&config, &["deliveries", "retry", "--kind", "unreadable"]);
    assert_eq!(said.status.code(), Some(1), "there is nothing to send");
    assert!(text(&said.stderr).contains("deliveries discard"));
}

#[test]
fn what_is_given_up_is_never_sent_and_the_log_says_who_gave_it_up_and_why() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    filled(directory.path());
    assert_eq!(agent(&config, &["deliveries", "discard"]).status.code(), Some(2), "nothing is named");
    let ready = agent(&config, &["deliveries", "discard", "evt_2"]);
    assert_eq!(ready.status.code(), Some(1), "what waits is not given up");
    let output =
        agent(&config, &["deliveries", "discard", "--kind", "unreadable", "--reason", "half a line"]);
    assert!(text(&output.stdout).starts_with("1 parked delivery is given up"), "{output:?}");

    let shown = text(&agent(&config, &["deliveries", "show", "evt_3"]).stdout);
    for said in ["discarded", "given up by ", "half a line", "=no event"] {
        assert!(shown.contains(said), "{said} is not in {shown}");
    }
    let log = DeliveryLog::open(&directory.path().join("outbox")).unwrap();
    let summary = log.summary(&directory.path().join("outbox")).unwrap();
    assert_eq!((summary.ready, summary.parked, summary.delivered), (1, 2, 0));
    let again = agent(&config, &["deliveries", "retry", "evt_3"]);
    assert_eq!(again.status.code(), Some(1), "given up is given up");
}

#[test]
fn an_export_begins_with_the_oldest_and_is_safe_in_a_spreadsheet() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    filled(directory.path());
    let export = ["deliveries", "export", "--state", "parked"];
    assert_eq!(ids(directory.path(), &config, &export), ["evt_1", "evt_3", "evt_4"]);
    let output =
        agent(&config, &["deliveries", "export", "--format", "csv", "--bodies", "--kind", "unreadable"]);
    let csv = text(&output.stdout);
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 2, "{csv}");
    assert!(
        lines[0].starts_with("id,kind,event,room,state,") && lines[0].ends_with(",file,offset,body"),
        "{csv}"
    );
    assert!(lines[1].contains("\"'=no event\"") && lines[1].ends_with("\"'=half\""), "{csv}");
}
