//! The program under test, as a process.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use tempfile::TempDir;

/// What deliveries are signed with.
pub(crate) const WEBHOOK_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// A state directory that its owner can reach, with whatever ran in it stopped at the end.
pub(crate) struct StateDir(TempDir);

/// `reflector-api serve`, listening.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
    /// Keeps the other end of the log open.
    _log: std::thread::JoinHandle<()>,
}

impl StateDir {
    pub(crate) fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("api-state-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        Self(directory)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The process id of the running Postgres.
    pub(crate) fn postmaster(&self) -> Option<Pid> {
        postmaster(self.path())
    }

    /// A session of its own, as somebody with psql has it.
    pub(crate) async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let options = PgConnectOptions::new_without_pgpass().socket(self.path().join("run")).port(5432);
        options.username("reflector").database("reflector").connect().await
    }
}

fn postmaster(state: &Path) -> Option<Pid> {
    let text = fs::read_to_string(state.join("postgres/data/postmaster.pid")).ok()?;
    text.lines().next()?.parse().ok().map(Pid::from_raw)
}

impl Drop for StateDir {
    fn drop(&mut self) {
        let _ = self.postmaster().map(|pid| kill(pid, Signal::SIGQUIT));
    }
}

/// The program with a state directory and a secret, and nothing else of this process's environment.
pub(crate) fn command(state: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-api"));
    command.env_clear().env("PATH", "/usr/bin:/bin").env("REFLECTOR_API_STATE_DIR", state);
    command.env("JITSI_WEBHOOK_SECRET", WEBHOOK_SECRET).stdin(Stdio::null());
    command
}

impl Program {
    /// Starts it and waits until it listens.
    pub(crate) fn start(state: &Path) -> Self {
        let mut child = command(state)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended before it listened:\n{said}");
            if let Some((_, address)) = line.split_once("listening on http://") {
                break address.trim().parse().unwrap();
            }
            said.push_str(&line);
        };
        let rest = std::thread::spawn(move || {
            let _ = log.read_to_end(&mut Vec::new());
        });
        Self { child, address, _log: rest }
    }

    /// Ends it without warning.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The user id that a process runs as.
pub(crate) fn user_of(pid: Pid) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(PathBuf::from(format!("/proc/{pid}"))).unwrap().uid()
}
