//! A Postgres of its own, with the settings that it ships with: every commit is synced to disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use nix::unistd::{Uid, User, chown};
use tempfile::TempDir;

use crate::home;
use crate::process::Process;

const DEADLINE: Duration = Duration::from_mins(1);

/// A running Postgres that listens on a socket in its own directory.
#[derive(Debug)]
pub struct Postgres {
    process: Process,
    programs: PathBuf,
    home: TempDir,
}

impl Postgres {
    /// Makes a cluster and starts its server.
    pub fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let home = home::directory()?;
        if Uid::effective().is_root() {
            let user = User::from_name("postgres")?
                .context("there is no user postgres; `make setup` installs it")?;
            chown(home.path(), Some(user.uid), Some(user.gid))?;
        }
        let data = home.path().join("data");
        let mut initdb = unprivileged(&programs.join("initdb"));
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        succeeded(&initdb.arg("-D").arg(&data).current_dir(home.path()).output()?, "initdb")?;
        let process = launch(&programs, home.path())?;
        let mut postgres = Self { process, programs, home };
        postgres.wait_until_ready()?;
        Ok(postgres)
    }

    /// Ends the server as an administrator does: clients are cut off, what was committed is on the disk.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        // The default SIGTERM would wait for clients.
        self.end(Signal::SIGINT)
    }

    /// Ends the server as a power cut does.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        // Not SIGKILL, which would leave its children to themselves.
        self.end(Signal::SIGQUIT)
    }

    fn end(&mut self, signal: Signal) -> anyhow::Result<()> {
        // The number of a process that has ended may be another's by now.
        if self.process.ended()?.is_none() {
            self.process.signal(signal)?;
            self.process.wait(DEADLINE)?;
        }
        Ok(())
    }

    /// Starts the server again, with the same data at the same place.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.process = launch(&self.programs, self.home.path())?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let mut ready = self.client("pg_isready");
        ready.arg("--quiet");
        self.process.wait_until(DEADLINE, || ready.status().is_ok_and(|status| status.success()))
    }

    /// The address as the API takes it.
    pub fn url(&self) -> String {
        format!("postgresql://postgres@localhost/postgres?host={}", self.socket().display())
    }

    /// Runs a statement and returns its unadorned result.
    pub fn query(&self, sql: &str) -> anyhow::Result<String> {
        let output = self.client("psql").args(["-qXAt", "-v", "ON_ERROR_STOP=1", "-c", sql]).output()?;
        succeeded(&output, "psql")
    }

    /// A client program of the same release, told where the server is.
    pub fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.arg("-h").arg(self.socket()).args(["-U", "postgres"]);
        command.env("PGDATABASE", "postgres");
        command
    }

    fn socket(&self) -> &Path {
        self.home.path()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may have been stopped already; `Process` kills what does not end.
        let _ = self.stop();
    }
}

fn launch(programs: &Path, home: &Path) -> anyhow::Result<Process> {
    let mut command = unprivileged(&programs.join("postgres"));
    command.arg("-D").arg(home.join("data")).arg("-k").arg(home);
    command.args(["-c", "listen_addresses="]).current_dir(home);
    Process::spawn("postgres", &command, &home.join("postgres.log"))
}

/// What a program printed, or why it failed.
pub fn succeeded(output: &Output, program: &str) -> anyhow::Result<String> {
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{program} failed with {}: {error}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Where the newest installed release of the server has its programs.
fn programs() -> anyhow::Result<PathBuf> {
    let root = Path::new("/usr/lib/postgresql");
    let releases = fs::read_dir(root).into_iter().flatten().flatten().filter_map(|entry| {
        let release: u32 = entry.file_name().to_str()?.parse().ok()?;
        let programs = entry.path().join("bin");
        programs.join("postgres").is_file().then_some((release, programs))
    });
    let newest = releases.max_by_key(|(release, _)| *release);
    newest.map(|(_, programs)| programs).context("no Postgres server is installed; `make setup` installs it")
}

/// Postgres refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    if !Uid::effective().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=INT", "--"])
        .arg(program);
    command
}
