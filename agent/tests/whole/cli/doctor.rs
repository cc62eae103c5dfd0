//! `doctor`: every check is there, whatever the host is, and the manual names them rightly.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::Value;
use time::Duration;

use super::server::Server;
use super::{agent, program, text};
use crate::support::{SECRET, config_file};

/// The outcome of every check.
fn outcomes(config: &Path) -> BTreeMap<String, String> {
    let output = agent(config, &["doctor", "--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let checks = report["checks"].as_array().unwrap();
    for check in checks {
        let bad = ["note", "warning", "failure"].contains(&check["outcome"].as_str().unwrap());
        assert_eq!(bad, check["next"].is_string(), "what is not well has a next step: {check}");
        assert!(!text(&check["tried"]).is_empty() && !text(&check["found"]).is_empty(), "{check}");
    }
    checks.iter().map(|check| (text(&check["name"]), text(&check["outcome"]))).collect()
}

#[test]
fn the_way_to_the_api_is_tried_step_by_step() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    let config = config_file(directory.path(), "");
    let found = outcomes(&config);
    for (name, outcome) in [
        ("api-connection", "failure"),
        ("api-health", "skipped"),
        ("api-secret", "skipped"),
        ("agent-runs", "failure"),
    ] {
        assert_eq!(found[name], outcome, "{name}");
    }
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, good.replace("http://127.0.0.1:9", &format!("http://{}", server.address)))
        .unwrap();
    let found = outcomes(&config);
    for (name, outcome) in
        [("api-connection", "ok"), ("api-health", "ok"), ("api-secret", "ok"), ("config", "ok")]
    {
        assert_eq!(found[name], outcome, "{name}");
    }
}

#[test]
fn a_wrong_configuration_is_a_finding_and_hides_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let config = config_file(directory.path(), "[nonsense]\n");
    let output = program(&config, &["doctor"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    for part in ["FAILURE  config", "nonsense", "FAILURE  secret", "inotify", "recordings-roots", "Next: "] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!said.contains(SECRET));
}

#[test]
fn whoever_may_not_look_is_told_so_and_nothing_that_is_false() {
    let directory = tempfile::tempdir().unwrap();
    // Others need not be allowed to enter the build directory.
    let copy = directory.path().join("reflector-agent");
    std::fs::copy(env!("CARGO_BIN_EXE_reflector-agent"), &copy).unwrap();
    std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    let closed = directory.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let config = config_file(&closed, "");
    std::fs::set_permissions(&closed, Permissions::from_mode(0o000)).unwrap();
    let mut command = std::process::Command::new(copy);
    command.env_clear().arg("--config").arg(&config).args(["doctor", "--json"]);
    if rustix::process::geteuid().is_root() {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    std::fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    for name in ["config", "secret", "agent-runs"] {
        let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["outcome"], "skipped", "{check}");
        assert!(check["found"].as_str().unwrap().contains("as root"), "{check}");
    }
}

#[test]
fn every_pain_of_jitsis_admins_is_answered_in_the_manual_and_every_check_that_is_named_exists() {
    let directory = tempfile::tempdir().unwrap();
    let checks = outcomes(&config_file(directory.path(), ""));
    let manual = include_str!("../../../../docs/operations.md");
    let table = manual.split("### What hurts Jitsi's admins").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| #")).collect();
    let numbers: Vec<u32> =
        rows.iter().filter_map(|row| row.split('|').nth(1)?.trim().parse().ok()).collect();
    assert_eq!(numbers, (1..=20).collect::<Vec<_>>());
    let named = manual.split("doctor:").skip(1).filter_map(|after| {
        let name: String = after.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        (!name.is_empty()).then_some(name)
    });
    let named: Vec<String> = named.collect();
    assert!(named.len() > 10, "{named:?}");
    for name in &named {
        assert!(checks.contains_key(name), "{name} is no check: {:?}", checks.keys());
    }
    for check in checks.keys() {
        assert!(
            manual.contains(&format!("`{check}`")) || named.contains(check),
            "{check} is not in the manual"
        );
    }
}
