//! The program, as operators run it.

use std::path::Path;
use std::process::{Command, Output};

use agent::outbox::model::NewItem;
use agent::outbox::{Limits, Outbox};

use crate::support::{SECRET, config_file, item, progress};

fn agent(config: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_reflector-agent"))
        .env_clear()
        .env("JITSI_WEBHOOK_SECRET", SECRET)
        .arg("--config")
        .arg(config)
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_wrong_configuration_is_told_whole_and_exits_with_78() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("agent.toml");
    std::fs::write(&path, "[api]\nurl = \"reflector\"\n[delivery]\nconnections = 0\n[nonsense]\n").unwrap();
    for command in ["check", "run", "status"] {
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
    let limits = Limits { max_bytes: 1 << 30, keep_settled: std::time::Duration::from_hours(1) };
    let (writer, _) = Outbox::open(&directory.path().join("outbox"), limits).unwrap();
    let parked = NewItem { parked: Some("event_invalid: no timestamp".into()), ..item("evt_2", "a") };
    writer.outbox().append(vec![item("evt_1", "a"), parked], progress(1)).unwrap();
    writer.close();

    let listed = agent(&config, &["deliveries", "list", "--state", "parked", "--json"]);
    let row: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!((&row["id"], &row["state"]), (&"evt_2".into(), &"parked".into()));
    assert!(text(&agent(&config, &["deliveries", "list"]).stdout).contains("event_invalid: no timestamp"));
    assert!(text(&agent(&config, &["status"]).stdout).contains("not running"));
    let shown = text(&agent(&config, &["deliveries", "show", "evt_2"]).stdout);
    assert!(shown.contains("/spool/a.jsonl, byte 0"), "{shown}");

    assert!(agent(&config, &["deliveries", "retry", "evt_2"]).status.success());
    let again = agent(&config, &["deliveries", "retry", "evt_2"]);
    assert_eq!(again.status.code(), Some(1), "it is not parked any more");
    let unknown = agent(&config, &["deliveries", "show", "evt_9"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("kept for 7 days"));
}

#[test]
fn a_test_that_cannot_arrive_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let output = agent(&config_file(directory.path(), ""), &["send-test"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("did not accept") && said.contains("Next: check `url`"), "{said}");
}

#[test]
fn without_an_outbox_the_log_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let output = agent(&config_file(directory.path(), ""), &["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("there is no outbox here"));
}
