//! A Jitsi host, the API, and a real Prometheus that reads both with the example configuration.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testbed::meeting::{Invitation, Meeting};
use testbed::process::Process;
use testbed::stack::Stack;
use testbed::wait::eventually;
use testbed::{home, ports, spool};

use crate::pack::{RULES, folder, tool};

/// Longer than anything takes on a busy machine.
pub(crate) const SOON: Duration = Duration::from_mins(2);

/// All of it.
pub(crate) struct Scene {
    prometheus: Process,
    port: u16,
    pub(crate) stack: Stack,
    _directory: TempDir,
}

impl Scene {
    /// Starts everything.
    pub(crate) fn new() -> Self {
        let directory = home::directory().unwrap();
        let stack = Stack::start_anywhere(directory.path()).unwrap();
        let port = ports::free().unwrap();
        let prometheus = start(&directory.path().join("prometheus"), port, &stack);
        Self { prometheus, port, stack, _directory: directory }
    }

    /// Holds a meeting whose recording goes into the object storage, and waits until all of it is there.
    pub(crate) fn hold_a_meeting(&self) {
        self.stack.client.ensure_cloud_room("daily").unwrap();
        let alice = self.stack.client.create_meeting("daily").unwrap();
        let bob = self.stack.api.client("bob").unwrap().create_meeting("daily").unwrap();
        let invitation = Invitation {
            room: &alice.room_name,
            alice: &alice.host_room_url,
            bob: &bob.room_url,
            session_id: "8d7f6c1e-9f0b-4d7a-b8f0-6a7d1c3b5e21",
        };
        let meeting =
            Meeting::begin(&self.stack.prosody, &self.stack.jibri, invitation, &mut |_| Ok(())).unwrap();
        meeting.record(20_000).unwrap();
        assert!(meeting.end(&mut |_| Ok(())).unwrap().is_some());
        let ended = |it: &spool::SpoolEvent| it.event == "muc-room-destroyed" && it.room == alice.room_name;
        let all = || spool::events(&self.stack.spool()).unwrap().iter().any(ended);
        assert!(eventually(SOON, all), "the room did not end");
        self.stack.agent.ask(&["drain", "--timeout", "60s"]).unwrap();
    }

    /// What Prometheus answers.
    pub(crate) fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let mut request = agent.get(format!("http://127.0.0.1:{}/api/v1/{path}", self.port));
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        let answer: Value = request.call().unwrap().body_mut().read_json().unwrap();
        assert_eq!(answer["status"], "success", "{path} {parameters:?}: {answer}");
        answer["data"].clone()
    }

    /// The samples that an expression has now.
    pub(crate) fn query(&self, expression: &str) -> Vec<Value> {
        self.ask("query", &[("query", expression)])["result"].as_array().unwrap().clone()
    }

    /// The label sets of a selector's series.
    pub(crate) fn series(&self, selector: &str) -> Vec<Value> {
        self.ask("series", &[("match[]", selector)]).as_array().unwrap().clone()
    }

    /// What the two programs say.
    pub(crate) fn metrics(&self) -> [String; 2] {
        let agent = format!("http://127.0.0.1:{}", self.stack.agent.listener());
        [agent, self.stack.api.url()].map(|base| {
            ureq::get(format!("{base}/metrics")).call().unwrap().body_mut().read_to_string().unwrap()
        })
    }

    /// Whether Prometheus still runs.
    pub(crate) fn is_watched(&mut self) -> bool {
        self.prometheus.ended().unwrap().is_none()
    }
}

/// Starts Prometheus with the example configuration, but for the addresses and the pace.
fn start(directory: &Path, port: u16, stack: &Stack) -> Process {
    fs::create_dir_all(directory).unwrap();
    for name in RULES {
        let file = format!("{name}.rules.yml");
        fs::copy(folder("prometheus").join(&file), directory.join(&file)).unwrap();
    }
    let example = fs::read_to_string(folder("prometheus").join("reflector-scrape.yml")).unwrap();
    let configuration = example
        .replace("127.0.0.1:9471", &format!("127.0.0.1:{}", stack.agent.listener()))
        .replace("127.0.0.1:1250", stack.api.url().trim_start_matches("http://"))
        .replace("scrape_interval: 15s", "scrape_interval: 1s");
    let file = directory.join("prometheus.yml");
    fs::write(&file, format!("global:\n  evaluation_interval: 1s\n{configuration}")).unwrap();
    let mut command = Command::new(tool("prometheus/prometheus"));
    command.arg(format!("--config.file={}", file.display()));
    command.arg(format!("--storage.tsdb.path={}", directory.join("data").display()));
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    let mut process = Process::spawn("prometheus", &command, &directory.join("log")).unwrap();
    process
        .wait_until(SOON, || ureq::get(format!("http://127.0.0.1:{port}/-/ready")).call().is_ok())
        .unwrap();
    process
}
