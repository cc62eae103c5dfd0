//! The program, as operators run it.

mod deliveries;
mod doctor;
mod drain;
mod finalize;
mod meeting;
mod server;
mod setup;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use agent::outbox::model::{Kind, NewItem};
use agent::outbox::{Limits, Outbox};

use crate::support::{SECRET, config_file, item, progress};

/// Runs the program with the secret in its environment and nothing else.
fn agent(config: &Path, arguments: &[&str]) -> Output {
    program(config, arguments).env("JITSI_WEBHOOK_SECRET", SECRET).output().unwrap()
}

/// The program with an empty environment.
fn program(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-agent"));
    command.env_clear().arg("--config").arg(config).args(arguments);
    command
}

/// Fills the outbox of `directory` with `items`.
pub(crate) fn fill(directory: &Path, items: &[NewItem]) {
    let limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };
    let (writer, _) = Outbox::open(&directory.join("outbox"), limits).unwrap();
    writer.outbox().append(items, &progress(1)).unwrap();
    writer.close();
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_wrong_configuration_is_told_whole_and_exits_with_78() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.toml");
    std::fs::write(&path, "[api]\nurl = \"reflector\"\n[delivery]\nconnections = 0\n[nonsense]\n").unwrap();
    for command in ["check", "run", "send-test"] {
        let output = agent(&path, &[command]);
        assert_eq!(output.status.code(), Some(78), "{command}");
        let said = text(&output.stderr);
        for key in ["api.url", "delivery.connections", "nonsense"] {
            assert!(said.contains(key), "{command} does not name {key}: {said}");
        }
        assert!(!said.contains(SECRET));
    }
}

#[test]
fn a_good_configuration_is_said_to_be_good() {
    let directory = tempfile::tempdir().unwrap();
    let output = agent(&config_file(directory.path(), ""), &["check"]);
    assert!(output.status.success());
    assert!(text(&output.stdout).contains("http://127.0.0.1:9"));
    assert!(!text(&output.stdout).contains(SECRET));
}

#[test]
fn the_delivery_log_is_read_and_parked_items_are_sent_again() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    let parked = NewItem { parked: Some("event_invalid: no timestamp".into()), ..item("evt_2", "a") };
    fill(directory.path(), &[item("evt_1", "a"), parked]);

    let listed = agent(&config, &["deliveries", "list", "--state", "parked", "--json"]);
    let row: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&row["id"], &row["state"]), (&"evt_2".into(), &"parked".into()));
    assert!(text(&agent(&config, &["deliveries", "list"]).stdout).contains("event_invalid: no timestamp"));
    assert!(text(&agent(&config, &["status"]).stdout).contains("not running"));
    let shown = text(&agent(&config, &["deliveries", "show", "evt_2"]).stdout);
    assert!(shown.contains("/spool/a.jsonl, byte 0"), "{shown}");

    let retried = agent(&config, &["deliveries", "retry", "evt_2", "evt_2"]);
    assert!(retried.status.success());
    assert!(text(&retried.stdout).starts_with("1 parked delivery is ready again"));
    let again = agent(&config, &["deliveries", "retry", "evt_2"]);
    assert_eq!(again.status.code(), Some(1), "it is not parked any more");
    let unknown = agent(&config, &["deliveries", "show", "evt_9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("kept for 7 days"));
}

#[test]
fn the_outbox_is_read_without_the_secret_whatever_the_other_sections_say() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "[delivery]\nconnections = 0\n");
    let parked = NewItem { parked: Some("event_invalid".into()), ..item("evt_1", "a") };
    fill(directory.path(), &[parked]);
    for arguments in
        [&["deliveries", "list"][..], &["deliveries", "show", "evt_1"], &["deliveries", "retry", "--all"]]
    {
        let output = program(&config, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    for arguments in [&["status"][..], &["status", "--json"]] {
        let output = program(&config, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "it was looked at, and the agent does not run: {output:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
    let output = program(&config, &["check"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "the daemon itself needs them");
}

#[test]
fn variables_of_other_programs_may_hold_anything() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    let bytes = OsStr::from_bytes(b"M\xfcller");
    let check = |name: &str| {
        let mut command = program(&config, &["check"]);
        command.env("JITSI_WEBHOOK_SECRET", SECRET).env(name, bytes).output().unwrap()
    };
    assert!(check("FULL_NAME").status.success());
    let output = check("REFLECTOR_AGENT__OUTBOX__DIRECTORY");
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stderr).contains("REFLECTOR_AGENT__OUTBOX__DIRECTORY: is not valid UTF-8"));
}

#[test]
fn a_long_list_is_read_page_by_page() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    fill(directory.path(), &(0..250).map(|number| item(&format!("evt_{number}"), "a")).collect::<Vec<_>>());
    for (limit, expected) in [(0, 0), (1, 1), (100, 100), (201, 201), (1000, 250)] {
        let listed = agent(&config, &["deliveries", "list", "--json", "--limit", &limit.to_string()]);
        let ids: Vec<String> = text(&listed.stdout)
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
            })
            .collect();
        let newest: Vec<String> =
            (0..250).rev().take(expected).map(|number| format!("evt_{number}")).collect();
        assert_eq!(ids, newest, "--limit {limit}");
    }
}

#[test]
fn an_unreadable_line_cannot_steer_the_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "");
    let line = NewItem {
        kind: Kind::Unreadable,
        body: b"\x1b[2J half a line \xff".to_vec(),
        parked: Some("a line of 20 bytes is not an event: \u{1b}[2J".into()),
        ..item("evt_1", "")
    };
    fill(directory.path(), &[line]);
    for arguments in [&["deliveries", "list"][..], &["deliveries", "show", "evt_1"]] {
        let shown = text(&agent(&config, arguments).stdout);
        assert!(shown.contains("\\u{1b}[2J") && !shown.contains('\u{1b}'), "{arguments:?}: {shown:?}");
    }
}

#[test]
fn a_test_that_cannot_arrive_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let output = agent(&config_file(directory.path(), ""), &["send-test"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("did not accept") && said.contains("Next: nothing listens there"), "{said}");
}

#[test]
fn without_an_outbox_the_log_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let output = agent(&config_file(directory.path(), ""), &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no outbox here"));
}
