//! The agent and its service manager: what it is told, and that a part that hangs is no secret to it.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent::outbox::{DATABASE, LOCK};
use rusqlite::Connection;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{SECRET, config_file, eventually, item};

/// The watchdog's time in these tests: signs of life come four times in it, and work may take half of it.
const WATCHDOG: Duration = Duration::from_secs(2);

/// A service manager with one service.
struct Managed {
    home: tempfile::TempDir,
    socket: UnixDatagram,
    agent: Child,
}

impl Managed {
    /// Starts the agent, with `more` in its configuration.
    fn start(more: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), more)
    }

    fn start_in(home: tempfile::TempDir, more: &str) -> Self {
        let secret = home.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        let config = config_file(home.path(), more);
        let text = std::fs::read_to_string(&config).unwrap();
        let named = format!("[api]\nsecret-file = {:?}\n", secret.display().to_string());
        std::fs::write(&config, text.replacen("[api]\n", &named, 1)).unwrap();
        let path = home.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let agent = Command::new(env!("CARGO_BIN_EXE_reflector-agent"))
            .env_clear()
            .env("NOTIFY_SOCKET", &path)
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .arg("--config")
            .arg(&config)
            .arg("run")
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { home, socket, agent }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// What is said next, within `time`.
    fn next(&self, time: Duration) -> Option<String> {
        let mut buffer = [0; 4096];
        self.socket.set_read_timeout(Some(time)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    /// Waits until something is said that has `what` in it.
    fn wait_for(&self, what: &str) -> String {
        eventually(what, || self.next(WATCHDOG).filter(|said| said.contains(what)))
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.agent), signal).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.at("log")).unwrap()
    }

    /// Waits until the log says that this part hangs.
    fn wait_until_it_hangs(&self, part: &str) {
        let part = format!("part={part:?}");
        let said = |line: &str| line.contains("a part of the service hangs") && line.contains(&part);
        eventually(&part, || {
            // Few messages fit into the socket; one that is full would hold up the agent's report.
            self.next(Duration::from_millis(50));
            self.log().lines().any(said).then_some(())
        });
    }

    /// No sign of life comes for as long as the watchdog waits. What was said before does not count.
    fn is_silent(&self) -> bool {
        while self.next(Duration::from_millis(50)).is_some() {}
        let deadline = Instant::now() + WATCHDOG;
        let left = || deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero());
        let mut said = std::iter::from_fn(|| self.next(left()?));
        !said.any(|said| said.contains("WATCHDOG=1"))
    }

    /// Ends it in order.
    fn stop(mut self) {
        self.signal(Signal::TERM);
        self.wait_for("STOPPING=1");
        self.wait_for("STATUS=Stopped");
        assert!(self.agent.wait().unwrap().success(), "{}", self.log());
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}

/// Puts in the place of a file one that nobody writes: who reads it waits.
fn block(path: &Path) {
    let pipe = path.with_extension("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    std::fs::rename(&pipe, path).unwrap();
}

/// Lets those go on who wait for the file.
fn release(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    // A pipe has a writer only while somebody reads; it is asked for without waiting.
    let writer = std::fs::OpenOptions::new()
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .unwrap();
    std::fs::rename(&beside, path).unwrap();
    drop(writer);
}

#[test]
fn it_is_ready_once_it_listens_and_says_what_waits_and_that_it_stops() {
    let managed = Managed::start("");
    // A long backlog takes long to count, so the start does not wait for that.
    managed.wait_for("READY=1");
    managed.wait_for("STATUS=Everything is delivered");
    let address = eventually("an address", || {
        let log = managed.log();
        let line = log.lines().find(|line| line.contains("listening for event_sync"))?;
        Some(line.rsplit_once("address=")?.1.to_owned())
    });
    assert!(std::net::TcpStream::connect(&address).is_ok(), "{address}");
    managed.wait_for("WATCHDOG=1");
    managed.signal(Signal::HUP);
    let said = managed.wait_for("RELOADING=1");
    assert!(said.contains("MONOTONIC_USEC="), "{said}");
    managed.wait_for("READY=1");
    managed.stop();
}

#[test]
fn an_outbox_that_takes_long_to_open_asks_for_more_time() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("outbox")).unwrap();
    // Whoever opens a pipe to write waits for somebody who reads.
    let lock = home.path().join("outbox").join(LOCK);
    block(&lock);
    let managed = Managed::start_in(home, "");
    assert_eq!(managed.next(WATCHDOG * 10).as_deref().map(str::trim), Some("EXTEND_TIMEOUT_USEC=60000000"));
    let _reader = std::fs::File::open(&lock).unwrap();
    managed.wait_for("READY=1");
    managed.stop();
}

#[test]
fn an_api_that_is_away_costs_no_sign_of_life_and_is_told() {
    let home = tempfile::tempdir().unwrap();
    super::cli::fill(home.path(), &[item("evt_1", "a"), item("evt_2", "b")]);
    let managed = Managed::start_in(home, "");
    let said = managed.wait_for("wait, the oldest since");
    assert!(said.contains("STATUS=2 deliveries of 2 rooms"), "{said}");
    for _ in 0..6 {
        managed.wait_for("WATCHDOG=1");
    }
    managed.stop();
}

#[test]
fn a_delivery_loop_that_hangs_stops_the_signs_of_life_until_it_goes_on() {
    let managed = Managed::start("");
    managed.wait_for("WATCHDOG=1");
    // The secret is read by the thread that delivers, every two seconds.
    block(&managed.at("secret"));
    managed.wait_until_it_hangs("delivery");
    assert!(managed.is_silent());
    release(&managed.at("secret"), SECRET);
    managed.wait_for("WATCHDOG=1");
    managed.stop();
}

#[test]
fn a_source_that_hangs_stops_the_signs_of_life_although_deliveries_go_on() {
    let home = tempfile::tempdir().unwrap();
    let jibri = home.path().join("jibri");
    std::fs::create_dir(&jibri).unwrap();
    std::fs::write(jibri.join("jibri.conf"), "jibri { }\n").unwrap();
    let more = format!(
        "[jibri]\nconfiguration = [{:?}]\nhealth-url = \"\"\n[recordings]\nrescan-seconds = 1\n",
        jibri.display().to_string()
    );
    let managed = Managed::start_in(home, &more);
    managed.wait_for("WATCHDOG=1");
    block(&jibri.join("jibri.conf"));
    managed.wait_until_it_hangs("recordings");
    assert!(managed.is_silent());
}

#[test]
fn an_outbox_that_somebody_holds_locked_stops_the_signs_of_life() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("spool")).unwrap();
    let managed = Managed::start_in(home, "");
    managed.wait_for("WATCHDOG=1");
    let operator = Connection::open(managed.at("outbox").join(DATABASE)).unwrap();
    operator.execute_batch("BEGIN IMMEDIATE").unwrap();
    let line = r#"{"event":"room_created","room":"a","timestamp":1769853600}"#;
    std::fs::write(managed.at("spool").join("events.jsonl"), format!("{line}\n")).unwrap();
    managed.wait_until_it_hangs("spool");
    operator.execute_batch("ROLLBACK").unwrap();
    managed.wait_for("WATCHDOG=1");
    managed.stop();
}

#[test]
fn a_stopped_process_gives_no_sign_of_life() {
    let managed = Managed::start("");
    managed.wait_for("WATCHDOG=1");
    managed.signal(Signal::STOP);
    assert!(managed.is_silent());
    managed.signal(Signal::CONT);
    managed.wait_for("WATCHDOG=1");
    managed.stop();
}

#[test]
fn a_wrong_configuration_is_told_before_it_ends_the_agent() {
    let mut managed = Managed::start("[delivery]\nconnections = 0\n");
    let said = managed.wait_for("STATUS=");
    assert!(said.contains("The configuration is wrong: delivery.connections"), "{said}");
    assert_eq!(managed.agent.wait().unwrap().code(), Some(78));
    let mut text = String::new();
    std::fs::File::open(managed.at("log")).unwrap().read_to_string(&mut text).unwrap();
    assert!(!said.contains(SECRET) && !text.contains(SECRET));
}
