//! Where things are, and how the tools are run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The two dashboards.
pub(crate) const DASHBOARDS: [&str; 2] = ["reflector-agent.json", "reflector-api.json"];

/// The two sets of rules, each with a file of unit tests beside it.
pub(crate) const RULES: [&str; 2] = ["reflector-agent", "reflector-api"];

/// The top of the repository.
pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A folder of the pack.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("observability").join(name)
}

/// What operators read.
pub(crate) fn manual() -> String {
    fs::read_to_string(repository().join("docs/operations.md")).unwrap()
}

/// A dashboard, and its panels that are no rows.
pub(crate) fn dashboard(name: &str) -> (Value, Vec<Value>) {
    let text = fs::read_to_string(folder("grafana").join(name)).unwrap();
    let board: Value = serde_json::from_str(&text).unwrap();
    let panels = board["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row").cloned();
    let panels = panels.collect();
    (board, panels)
}

/// The expressions of a panel.
pub(crate) fn expressions(panel: &Value) -> Vec<&str> {
    panel["targets"].as_array().unwrap().iter().map(|target| target["expr"].as_str().unwrap()).collect()
}

/// A program that was installed for these tests, such as `prometheus/promtool`.
pub(crate) fn tool(name: &str) -> PathBuf {
    let path = repository().join(".tools").join(name);
    assert!(path.exists(), "{} is not there; run: make setup setup-packaging", path.display());
    path
}

/// `promtool` in a directory.
pub(crate) fn promtool(directory: &Path) -> Command {
    let mut command = Command::new(tool("prometheus/promtool"));
    command.current_dir(directory);
    command
}

/// Runs a command that must succeed; what it printed.
pub(crate) fn run(command: &mut Command) -> String {
    let (succeeded, printed) = attempt(command);
    assert!(succeeded, "{command:?}\n{printed}");
    printed
}

/// Whether a command succeeded, and what it printed.
pub(crate) fn attempt(command: &mut Command) -> (bool, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), printed.concat())
}
