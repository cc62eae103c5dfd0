//! What operators ask a host, with the real API behind it.

use std::time::Duration;

use serde_json::Value;
use testbed::stack::Stack;
use testbed::wait::eventually;

/// Longer than anything takes on a busy machine.
const SOON: Duration = Duration::from_mins(1);

#[test]
fn the_api_knows_the_host_and_the_host_knows_how_it_stands_with_the_api() {
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start_anywhere(directory.path()).unwrap();

    let told = || {
        let row = stack
            .api
            .sql("SELECT heartbeat ->> 'version', heartbeat ->> 'roles' FROM reflector.agent")
            .unwrap();
        row.contains(env!("CARGO_PKG_VERSION")) && row.contains("prosody")
    };
    let known = || stack.api.sql("SELECT heartbeat FROM reflector.agent").unwrap();
    assert!(eventually(SOON, told), "no such heartbeat arrived: {}", known());
    let clock = || {
        let status: Value = serde_json::from_str(&stack.agent.ask(&["status", "--json"]).unwrap()).unwrap();
        status["clock_offset_ms"].as_i64().is_some_and(|offset| offset.abs() < 60_000)
    };
    assert!(eventually(SOON, clock), "the heartbeat's answer told no time");

    let drained: Value =
        serde_json::from_str(&stack.agent.ask(&["drain", "--timeout", "60s", "--json"]).unwrap()).unwrap();
    assert_eq!(drained["drained"], true, "{drained}");

    // Whatever else is wrong with the machine that this runs on, the way to the API is not.
    let report = stack.agent.report(&["doctor", "--json"]).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let checks = report["checks"].as_array().unwrap();
    for name in ["api-connection", "api-health", "clock", "api-secret", "agent-runs", "backlog"] {
        let check = checks.iter().find(|check| check["name"] == name).unwrap();
        assert_eq!(check["outcome"], "ok", "{check}");
    }
}
