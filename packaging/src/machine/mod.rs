//! Fresh Debian systems with real systemd, for proving the packages.
//!
//! A [`Machine`] is a container that boots like a host: systemd is its first process, units, sandboxes and the journal are
//! the real ones, and nothing of it is left when it is dropped. It has an address of its own in a [`Network`], which may hold
//! several. Its file system comes from a tree that `packaging/machine/tree` makes once for each [`Release`]; a tree carries an
//! archive of Debian packages, so no test needs the internet. [`Repository`] is where our own packages come from.
//!
//! It takes root, and Linux with cgroup v2 beside or instead of v1.

mod boot;
mod command;
mod network;
mod release;
mod repository;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};
use testbed::process::Process;
use testbed::wait;

pub use command::Outcome;
pub use network::Network;
pub use release::{Release, target};
pub use repository::Repository;

use crate::handbook;
use network::Place;

/// How long a condition inside may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// How a machine is to be.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What is written survives [`Machine::reboot`]. It costs disk writes; other machines live in memory.
    pub lasting: bool,
}

/// A running system. It ends, with all that runs in it, when it is dropped.
#[derive(Debug)]
pub struct Machine {
    release: Release,
    place: Place,
    network: Arc<Network>,
    process: Process,
    leader: i32,
    directory: PathBuf,
    options: Options,
}

impl Machine {
    /// Boots a fresh system in a network of its own.
    pub fn fresh(release: Release) -> Result<Self> {
        Self::boot(release, "host", &Network::new()?, Options::default())
    }

    /// Boots a fresh system under a host name, and waits until all of it has started.
    pub fn boot(release: Release, name: &str, network: &Arc<Network>, options: Options) -> Result<Self> {
        let place = network.place(name)?;
        let directory = boot::directory(&place.id)?;
        let process = boot::start(release, &place, &directory, options)?;
        let mut machine =
            Self { release, place, network: Arc::clone(network), process, leader: 0, directory, options };
        machine.wait_until_up()?;
        Ok(machine)
    }

    /// Which Debian it is.
    pub fn release(&self) -> Release {
        self.release
    }

    /// Its address, which this host and the other machines of its network reach.
    pub fn address(&self) -> std::net::Ipv4Addr {
        self.place.address
    }

    /// The network that it is in.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The host's id of its first process.
    pub fn leader(&self) -> i32 {
        self.leader
    }

    /// Its file system as this host sees it, for looking and for watching; links with absolute targets lead astray.
    pub fn root(&self) -> PathBuf {
        Path::new("/proc").join(self.leader.to_string()).join("root")
    }

    /// Runs a shell command as root and waits for its end; what it answers is the caller's to judge.
    pub fn run(&self, command: &str) -> Result<Outcome> {
        self.run_with(command, "")
    }

    /// The same with a standard input.
    pub fn run_with(&self, command: &str, input: &str) -> Result<Outcome> {
        command::run(self.leader, command, input)
    }

    /// The standard output of a command that must succeed.
    pub fn ok(&self, command: &str) -> Result<String> {
        self.run(command)?.succeeded(command)
    }

    /// Writes a file, readable for root alone; its directory is made if need be.
    pub fn write(&self, path: &str, text: &str) -> Result<()> {
        let command = format!("umask 077; mkdir -p -m 755 \"$(dirname '{path}')\" && cat >'{path}'");
        self.run_with(&command, text)?.succeeded(&command).map(drop)
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> Result<String> {
        self.ok(&format!("cat '{path}'"))
    }

    /// Waits until a command succeeds. The error tells what it said last.
    pub fn eventually(&self, command: &str) -> Result<String> {
        let mut last = None;
        let held = wait::eventually(PATIENCE, || {
            last = Some(self.run(command));
            matches!(&last, Some(Ok(outcome)) if outcome.code == Some(0))
        });
        let outcome = last.context("nothing was tried")??;
        ensure!(held, "not within {PATIENCE:?}: {command}\n{outcome}");
        Ok(outcome.stdout)
    }

    /// Adds our archive to those that apt asks, as the manual for operators says.
    pub fn trust(&self, repository: &Repository) -> Result<()> {
        let section = handbook::section(handbook::OPERATIONS, "The package repository");
        for command in handbook::commands(section.context("the manual lacks the package repository")?) {
            self.ok(&command.replace("https://apt.example.com", &repository.url()))?;
        }
        Ok(())
    }

    /// A property of a unit, as systemd tells it.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        Ok(self.ok(&format!("systemctl show --property={name} --value {unit}"))?.trim().to_owned())
    }

    /// Does something in the network of this machine, so that a server started so listens on the machine's own loopback.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = fs::File::open(self.place.namespace())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                setns(&namespace, CloneFlags::CLONE_NEWNET)?;
                anyhow::Ok(act())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Boots again, as an operator does.
    pub fn reboot(&mut self) -> Result<()> {
        // It may end before it answers.
        self.run("systemctl reboot")?;
        self.process.wait(PATIENCE)?;
        self.process = boot::start(self.release, &self.place, &self.directory, self.options)?;
        self.wait_until_up()
    }

    /// Waits until systemd says that everything has started.
    fn wait_until_up(&mut self) -> Result<()> {
        let nspawn = self.process.pid();
        let (mut leader, mut state) = (0, String::new());
        self.process.wait_until(PATIENCE, || {
            leader = boot::leader(nspawn).unwrap_or_default();
            let answer = (leader > 0).then(|| command::run(leader, "systemctl is-system-running --wait", ""));
            state = answer.and_then(Result::ok).unwrap_or_default().stdout;
            ["running", "degraded"].contains(&state.trim())
        })?;
        self.leader = leader;
        if state.trim() == "degraded" {
            let failed =
                self.ok("systemctl --failed --no-legend; journalctl --boot --priority=err | tail -n 20")?;
            bail!("some units have failed:\n{failed}");
        }
        Ok(())
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        boot::end(&mut self.process, self.leader, &self.place.id);
        // What is left is removed by the next machine of this name.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
