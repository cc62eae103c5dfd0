//! The alert rules by themselves, by Prometheus's own checker.

use std::fs;
use std::path::Path;

use crate::pack::{RULES, attempt, folder, promtool, run};

/// How an alert begins in a file of rules.
const ALERT: &str = "      - alert: ";

#[test]
fn prometheus_accepts_the_example_configuration_with_both_sets_of_rules() {
    let said = run(promtool(&folder("prometheus")).args(["check", "config", "reflector-scrape.yml"]));
    assert!(said.contains("2 rule files found"), "{said}");
}

#[test]
fn every_alert_fires_when_it_must_and_is_silent_when_it_must_be() {
    for name in RULES {
        run(promtool(&folder("prometheus")).args(["test", "rules", &format!("{name}.test.yml")]));
        let tests = fs::read_to_string(folder("prometheus").join(format!("{name}.test.yml"))).unwrap();
        for alert in alerts(name) {
            let silence = format!("ALERTS{{alertname=\"{alert}\", alertstate=\"firing\"}}");
            let silent = tests
                .split(&silence)
                .skip(1)
                .any(|rest| rest.lines().take(3).any(|line| line.trim() == "exp_samples: []"));
            assert!(silent, "no test says when {alert} is silent");
        }
    }
}

#[test]
fn an_alert_that_never_fires_fails_its_test() {
    let place = tempfile::tempdir().unwrap();
    for name in RULES {
        let rules = fs::read_to_string(folder("prometheus").join(format!("{name}.rules.yml"))).unwrap();
        let tests = format!("{name}.test.yml");
        fs::copy(folder("prometheus").join(&tests), place.path().join(&tests)).unwrap();
        for alert in alerts(name) {
            let renamed = rules.replace(&format!("{ALERT}{alert}\n"), &format!("{ALERT}Other\n"));
            assert_ne!(renamed, rules);
            assert!(!passes(place.path(), name, &renamed), "nothing tests {alert}");
        }
        assert!(passes(place.path(), name, &rules));
    }
}

#[test]
fn every_alert_says_what_it_is_what_it_means_and_what_to_do() {
    for name in RULES {
        let rules = fs::read_to_string(folder("prometheus").join(format!("{name}.rules.yml"))).unwrap();
        for alert in rules.split(ALERT).skip(1) {
            for said in ["          summary: \"", "          description: \"", "          next_step: \""] {
                assert!(alert.contains(said), "{said} is missing in {alert}");
            }
            let severity = alert.split("severity: ").nth(1).and_then(|rest| rest.lines().next());
            assert!(matches!(severity, Some("page" | "ticket")), "{alert}");
        }
    }
}

/// The names of a file's alerts.
fn alerts(name: &str) -> Vec<String> {
    let rules = fs::read_to_string(folder("prometheus").join(format!("{name}.rules.yml"))).unwrap();
    let names: Vec<_> =
        rules.split(ALERT).skip(1).map(|rest| rest.lines().next().unwrap().to_owned()).collect();
    assert!(names.len() > 10, "{names:?}");
    names
}

/// Whether the unit tests of a set hold for these rules.
fn passes(place: &Path, name: &str, rules: &str) -> bool {
    fs::write(place.join(format!("{name}.rules.yml")), rules).unwrap();
    attempt(promtool(place).args(["test", "rules", &format!("{name}.test.yml")])).0
}
