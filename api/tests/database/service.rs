//! What the program tells the service manager, and what it answers before it serves.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::program::{StateDir, command};
use crate::wait;

/// The socket that a service manager listens on.
struct Manager {
    socket: UnixDatagram,
    directory: TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
        Self { socket, directory }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("notify")
    }

    /// The next message, as lines.
    fn hear(&self) -> Vec<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap().lines().map(str::to_owned).collect()
    }

    /// The next message that has this line; and all before it, none of which must have the other.
    fn hear_of(&self, line: &str, never: &str) -> Vec<String> {
        loop {
            let message = self.hear();
            assert!(never.is_empty() || !message.iter().any(|heard| heard == never), "{message:?}");
            if message.iter().any(|heard| heard == line) {
                return message;
            }
        }
    }
}

fn serve(state: &StateDir, manager: &Manager) -> Child {
    command(state.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", manager.path())
        .env("WATCHDOG_USEC", "300000")
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn the_service_manager_hears_that_it_serves_that_it_makes_progress_and_that_it_stops() {
    let (state, manager) = (StateDir::new(), Manager::new());
    let mut child = serve(&state, &manager);
    let ready = manager.hear_of("READY=1", "WATCHDOG=1");
    assert!(ready.iter().any(|line| line.starts_with("STATUS=serving on http://127.0.0.1:")), "{ready:?}");
    for _ in 0..3 {
        manager.hear_of("WATCHDOG=1", "STOPPING=1");
    }
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    manager.hear_of("STOPPING=1", "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn the_service_manager_is_asked_for_time_from_the_first_attempt_at_the_database_on() {
    let (state, manager) = (StateDir::new(), Manager::new());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut child = command(state.path())
        .args(["serve", "--listen", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", manager.path())
        .env("DATABASE_URL", format!("postgresql://u:p@{nobody}/d"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let heard = [manager.hear(), manager.hear()].concat();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(heard.iter().any(|line| line == "EXTEND_TIMEOUT_USEC=60000000"), "{heard:?}");
    assert!(heard.iter().any(|line| line.starts_with("STATUS=waiting for the database: ")), "{heard:?}");
}

#[test]
fn a_process_that_hangs_is_silent() {
    let (state, manager) = (StateDir::new(), Manager::new());
    let mut child = serve(&state, &manager);
    manager.hear_of("WATCHDOG=1", "");
    let pid = Pid::from_raw(child.id().try_into().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    manager.socket.set_read_timeout(Some(Duration::from_millis(900))).unwrap();
    let mut message = [0; 4096];
    // What was said before the stop may still wait.
    let silent = (0..3).any(|_| manager.socket.recv(&mut message).is_err());
    kill(pid, Signal::SIGKILL).unwrap();
    child.wait().unwrap();
    assert!(silent, "three times the watchdog's time, and it still speaks");
}

#[test]
fn wrong_settings_end_with_78_and_a_status_that_says_what_is_wrong() {
    let (state, manager) = (StateDir::new(), Manager::new());
    let mut child = command(state.path())
        .arg("serve")
        .env("NOTIFY_SOCKET", manager.path())
        .env("JITSI_WEBHOOK_SECRET", "short")
        .env("JITSI_DOMAIN", "https://meet.example.com")
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(78));
    let [status] = &manager.hear()[..] else { panic!("one line") };
    assert!(status.starts_with("STATUS=the settings are wrong: JITSI_WEBHOOK_SECRET: "), "{status}");
    assert!(status.contains("(and 1 more)"), "{status}");
}

#[tokio::test]
async fn while_the_database_is_away_at_the_start_requests_are_refused_at_once() {
    let state = StateDir::new();
    let port = |listener: TcpListener| listener.local_addr().unwrap().port();
    let [address, nobody] = [(), ()].map(|()| port(TcpListener::bind("127.0.0.1:0").unwrap()));
    let mut child = command(state.path())
        .args(["serve", "--listen", &format!("127.0.0.1:{address}")])
        .env("DATABASE_URL", format!("postgresql://u:p@127.0.0.1:{nobody}/d"))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let answer = wait::until("it listens", || async {
        let mut stream = TcpStream::connect(("127.0.0.1", address)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET /v1/rooms HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Some(answer)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n") && answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("The service is starting"), "{answer}");
}
