//! The rules and the dashboards on a real Prometheus that reads the real programs.

use std::io::Write;
use std::process::Stdio;

use serde_json::Value;
use testbed::wait::eventually;

use crate::pack::{DASHBOARDS, dashboard, expressions, folder, manual, promtool};
use crate::scene::{SOON, Scene};
use crate::selectors::{Selector, selectors};

#[test]
fn rules_and_dashboards_ask_for_what_the_programs_say_and_no_alert_fires_while_all_is_well() {
    let mut scene = Scene::new();
    scene.hold_a_meeting();
    for text in scene.metrics() {
        assert_promtool_accepts(&text);
    }
    let manual = manual();
    let asked: Vec<_> = panels().into_iter().chain(alerts(&scene)).collect();
    assert!(asked.len() > 80, "{}", asked.len());
    let heard = || scene.series(r#"reflector_api_request_seconds_count{route="/v1/agents/heartbeat"}"#);
    assert!(eventually(SOON, || !heard().is_empty()), "Prometheus has seen no heartbeat");
    for (title, expression) in &asked {
        for selector in selectors(&plain(expression)) {
            assert_known(&scene, &manual, &selector, title);
        }
    }

    let mut silent = Vec::new();
    let all_speak = eventually(SOON, || {
        silent = panels().into_iter().filter(|(_, it)| !speaks(&scene, &plain(it))).collect();
        silent.is_empty()
    });
    assert!(all_speak, "these panels are empty although the programs say what they ask for: {silent:#?}");
    // Right after a start, what is done at intervals has been done once, which is no increase yet.
    let calm = eventually(SOON, || scene.query("ALERTS").is_empty());
    assert!(calm, "an alert is about to fire: {:?}", scene.query("ALERTS"));
    assert!(scene.is_watched());

    scene.stack.agent.process().kill().unwrap();
    let down = || scene.query(r#"ALERTS{alertname="ReflectorAgentDown", alertstate="pending"}"#);
    assert!(eventually(SOON, || !down().is_empty()), "nobody notices an agent that is gone");
}

/// Titles and expressions of all panels.
fn panels() -> Vec<(String, String)> {
    let all = DASHBOARDS.into_iter().flat_map(|name| dashboard(name).1);
    all.flat_map(|panel| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let expressions: Vec<_> = expressions(&panel).into_iter().map(str::to_owned).collect();
        expressions.into_iter().map(move |expression| (title.clone(), expression))
    })
    .collect()
}

/// Names and expressions of all alerts, as Prometheus has read them.
fn alerts(scene: &Scene) -> Vec<(String, String)> {
    let groups = scene.ask("rules", &[])["groups"].as_array().unwrap().clone();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rules.map(|rule| (text(&rule["name"]), text(&rule["query"]))).collect()
}

/// An expression as Grafana sends it, with every instance chosen.
fn plain(expression: &str) -> String {
    expression.replace("$__rate_interval", "1m").replace("$instance", ".*")
}

/// Whether an expression has data, or asks for something that has not happened.
fn speaks(scene: &Scene, expression: &str) -> bool {
    !scene.query(expression).is_empty()
        || selectors(expression).iter().any(|selector| scene.series(&selector.text).is_empty())
}

/// A series exists with these labels, or the manual says that it will.
fn assert_known(scene: &Scene, manual: &str, selector: &Selector, title: &str) {
    if selector.is_prometheus_own() {
        return;
    }
    let series = scene.series(&selector.series);
    let row = row(manual, selector.metric());
    assert!(row.is_some(), "{title}: the manual does not know {}", selector.metric());
    for (name, value) in &selector.labels {
        let says = |it: &Value| it[name] == value.as_str();
        let exists = series.iter().any(says);
        let told =
            row.is_some_and(|row| row.contains(name.trim_start_matches("exported_")) && names(row, value));
        assert!(
            exists || told,
            "{title}: {}{{{name}=\"{value}\"}} is not there, nor in {row:?}",
            selector.series
        );
    }
}

/// The manual's row of a metric.
fn row<'a>(manual: &'a str, metric: &str) -> Option<&'a str> {
    manual.lines().find(|line| {
        line.strip_prefix("| `")
            .and_then(|rest| rest.strip_prefix(metric))
            .is_some_and(|rest| rest.starts_with(['`', '{']))
    })
}

/// Whether a row names a label's value; statuses of HTTP need no naming.
fn names(row: &str, value: &str) -> bool {
    let status = value.starts_with(|digit: char| digit.is_ascii_digit());
    status
        || value == ".*"
        || row.split(|it: char| !it.is_alphanumeric() && !"-_".contains(it)).any(|it| it == value)
}

fn assert_promtool_accepts(metrics: &str) {
    let mut command = promtool(&folder("prometheus"));
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}\n{metrics}");
}
