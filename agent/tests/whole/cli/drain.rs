//! `drain`, `status --watch` and the heartbeat: what a running agent is asked, and what it says by itself.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::Ordering;

use serde_json::Value;
use time::Duration;

use super::server::Server;
use super::{agent, program, text};
use crate::support::{SECRET, config_file, eventually};

/// A running agent; it is killed at the end.
pub(super) struct Running(Child);

impl Running {
    pub(super) fn start(config: &Path) -> Self {
        Self::logging(config, Stdio::null())
    }

    /// One that writes its log there.
    fn logging(config: &Path, log: impl Into<Stdio>) -> Self {
        let mut command = program(config, &["run"]);
        let child = command.env("JITSI_WEBHOOK_SECRET", SECRET).stderr(log).spawn().unwrap();
        let running = Self(child);
        eventually("the agent to run", || {
            (agent(config, &["status"]).status.code() == Some(0)).then_some(())
        });
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A configuration for `server`, with a spool and a root.
pub(super) fn configured(directory: &Path, server: &Server) -> std::path::PathBuf {
    let roots = directory.join("recordings");
    std::fs::create_dir_all(directory.join("spool")).unwrap();
    std::fs::create_dir_all(&roots).unwrap();
    let more = format!("[recordings]\nroots = [\"{}\"]\n[delivery]\nbatch-max-events = 1\n", roots.display());
    let path = config_file(directory, &more);
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("http://127.0.0.1:9", &format!("http://{}", server.address)))
        .unwrap();
    path
}

pub(super) fn event(directory: &Path, id: &str) {
    let line = format!(
        "{{\"id\":\"{id}\",\"event\":\"e\",\"room\":\"a\",\"timestamp\":\"2026-01-31T10:00:00.000Z\",\"data\":{{}}}}\n"
    );
    let path = directory.join("spool/20260131T10Z.b.jsonl");
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    std::io::Write::write_all(&mut file, line.as_bytes()).unwrap();
}

fn status(config: &Path) -> Value {
    serde_json::from_slice(&agent(config, &["status", "--json"]).stdout).unwrap()
}

#[test]
fn a_drain_ends_when_the_api_has_everything_and_says_what_is_left_when_it_has_not() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    server.closed.store(true, Ordering::SeqCst);
    let config = configured(directory.path(), &server);
    {
        let _running = Running::start(&config);
        event(directory.path(), "evt_1");
        let early = agent(&config, &["drain", "--timeout", "1s", "--json"]);
        assert_eq!(early.status.code(), Some(1), "{early:?}");
        let left: Value = serde_json::from_slice(&early.stdout).unwrap();
        assert_eq!(left["drained"], false, "{left}");
        server.closed.store(false, Ordering::SeqCst);
        let done = agent(&config, &["drain", "--timeout", "60s"]);
        assert!(done.status.success(), "{}", text(&done.stderr));
        assert!(text(&done.stdout).contains("this host may go"));
        assert!(server.at("/v1/jitsi/events").iter().any(|event| event["id"] == "evt_1"));
    }
    event(directory.path(), "evt_2");
    let stopped = agent(&config, &["drain"]);
    assert_eq!(stopped.status.code(), Some(3), "something is left and nobody carries it");
    assert!(text(&stopped.stderr).contains("does not run"), "{}", text(&stopped.stderr));
}

#[test]
fn a_recording_that_is_not_finished_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    let config = configured(directory.path(), &server);
    let session = directory.path().join("recordings/4a0f2c1e");
    std::fs::create_dir(&session).unwrap();
    std::fs::write(session.join("standup_2026-01-31-10-00-00.mp4"), "media").unwrap();
    let _running = Running::start(&config);
    let early = agent(&config, &["drain", "--timeout", "1s"]);
    assert_eq!(early.status.code(), Some(1), "{early:?}");
    assert!(text(&early.stdout).contains("1 recording not finished"), "{early:?}");
    let metadata = "{\"meeting_url\":\"https://meet.example.com/standup\",\"participants\":[]}";
    std::fs::write(session.join("metadata.json"), metadata).unwrap();
    let done = agent(&config, &["drain", "--timeout", "60s"]);
    assert!(done.status.success(), "{}", text(&done.stderr));
    assert_eq!(server.at("/v1/jibri/recording-complete").len(), 1);
}

#[test]
fn a_heartbeat_says_what_the_host_is_and_its_answer_tells_a_wrong_clock() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::minutes(10));
    let config = configured(directory.path(), &server);
    let _running = Running::start(&config);
    let beat = eventually("a heartbeat", || server.at("/v1/agents/heartbeat").pop());
    let beat: contract::heartbeat::Heartbeat = serde_json::from_value(beat).unwrap();
    assert_eq!(beat.version, env!("CARGO_PKG_VERSION"));
    assert_eq!(beat.roles, [contract::heartbeat::Role::Prosody, contract::heartbeat::Role::Jibri]);
    assert!(!beat.host_id.is_empty() && !beat.disk.is_empty(), "{beat:?}");
    let offset = eventually("the clock in the status", || status(&config)["clock_offset_ms"].as_i64());
    assert!((-660_000..=-540_000).contains(&offset), "{offset}");
    let shown = text(&agent(&config, &["status"]).stdout);
    assert!(shown.contains("behind the API's") && shown.contains("Prosody, Jibri"), "{shown}");
}

#[test]
fn a_host_that_is_shut_out_says_so_until_its_secret_is_right() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    server.shut_out.store(true, Ordering::SeqCst);
    let config = configured(directory.path(), &server);
    let (secret, log) = (directory.path().join("secret"), directory.path().join("log"));
    std::fs::write(&secret, "a-secret-that-was-right-until-it-was-revoked").unwrap();
    let with_file = format!("[api]\nsecret-file = \"{}\"\n", secret.display());
    let text_of = std::fs::read_to_string(&config).unwrap().replace("[api]\n", &with_file);
    std::fs::write(&config, text_of).unwrap();
    let _running = Running::logging(&config, std::fs::File::create(&log).unwrap());
    let state = |expected: &'static str| {
        eventually(expected, || {
            Some(status(&config)["heartbeat"].clone()).filter(|said| said["state"] == expected)
        })
    };
    let refused = state("refused");
    assert_eq!(refused["status"], 401, "{refused}");
    assert!(refused["reason"].as_str().unwrap().starts_with("401 signature_invalid"), "{refused}");
    assert!(refused["next_step"].as_str().unwrap().contains("JITSI_WEBHOOK_SECRET"), "{refused}");
    let shown = agent(&config, &["status"]);
    let said = text(&shown.stdout);
    assert!(said.contains("refused since") && said.contains("; next: the secret here"), "{said}");
    assert_eq!(shown.status.code(), Some(0), "the agent runs");
    server.shut_out.store(false, Ordering::SeqCst);
    std::fs::write(&secret, SECRET).unwrap();
    let taken = state("taken");
    assert!(taken["reason"].is_null() && taken["next_step"].is_null(), "{taken}");
    let log = std::fs::read_to_string(&log).unwrap();
    let lines = |words: &str| log.lines().filter(|line| line.contains(words)).count();
    assert_eq!((lines("heartbeats are refused"), lines("takes heartbeats again")), (1, 1), "{log}");
}

#[test]
fn a_watch_that_is_not_on_a_terminal_writes_a_line_for_every_change() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    let config = configured(directory.path(), &server);
    let _running = Running::start(&config);
    let mut watch = program(&config, &["status", "--watch", "--interval", "1s"]);
    let mut watch = Running(watch.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(watch.0.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains(" running waiting=0 ") && first.contains("delivered=0"), "{first}");
    event(directory.path(), "evt_1");
    let delivered = lines.map(Result::unwrap).find(|line| line.contains("delivered=1")).unwrap();
    assert!(!delivered.contains('\u{1b}'), "{delivered:?}");
}

#[test]
fn what_the_agent_writes_down_is_for_nobody_else_to_read() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    let _running = Running::start(&configured(directory.path(), &server));
    let outbox = directory.path().join("outbox");
    let mode = |name: &str| std::fs::metadata(outbox.join(name)).unwrap().permissions().mode() & 0o777;
    eventually("the hint", || outbox.join("hint/look-now").exists().then_some(()));
    assert_eq!(mode("") & 0o026, 0, "{:o}", mode(""));
    for name in ["outbox.sqlite3", "outbox.sqlite3-wal", "outbox.sqlite3-shm", "agent.lock"] {
        assert_eq!(mode(name) & 0o027, 0, "{name}: {:o}", mode(name));
    }
    assert_eq!((mode("hint"), mode("hint/look-now")), (0o755, 0o622), "a finalize script may write there");
}

#[test]
fn status_says_where_the_running_agent_delivers_to_whatever_the_file_says_now() {
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(Duration::ZERO);
    let config = configured(directory.path(), &server);
    let _running = Running::start(&config);
    let (old, new) = (format!("http://{}", server.address), "http://127.0.0.1:9");
    let changed = std::fs::read_to_string(&config).unwrap().replace(&old, new);
    std::fs::write(&config, changed).unwrap();
    let said = eventually("the agent to introduce itself", || {
        Some(status(&config)).filter(|said| said["version"].is_string())
    });
    assert_eq!((said["api"].as_str(), said["api_configured"].as_str()), (Some(&*old), Some(new)), "{said}");
    let shown = text(&agent(&config, &["status"]).stdout);
    assert!(shown.contains(&format!("{old}; the configuration says {new} now")), "{shown}");
}
