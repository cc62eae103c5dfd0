//! A process of the shipped `reflector-agent` with a configuration, a spool and an outbox of its own.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::binary;
use crate::wait::eventually;

/// How long a stopped agent may take to leave.
const STOP_DEADLINE: Duration = Duration::from_secs(15);

/// What an agent is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The API's address.
    pub url: String,
    /// The shared secret.
    pub secret: String,
    /// The most events in one request; the agent's own default when absent.
    pub batch_max_events: Option<u32>,
}

/// An agent, running or not. Dropping it kills the process and leaves the files.
#[derive(Debug)]
pub struct Agent {
    home: PathBuf,
    program: PathBuf,
    child: Option<Child>,
}

impl Agent {
    /// Writes the configuration into `home` and creates the spool and outbox directories there; does not start yet.
    pub fn prepare(home: &Path, settings: &Settings) -> anyhow::Result<Self> {
        let program = binary("reflector-agent")?;
        for directory in ["spool", "outbox", "recordings"] {
            fs::create_dir_all(home.join(directory)).with_context(|| format!("cannot create {directory}"))?;
        }
        fs::write(home.join("secret"), &settings.secret)?;
        fs::write(home.join("agent.toml"), configuration(home, settings))?;
        Ok(Self { home: home.to_owned(), program, child: None })
    }

    /// The directory that the agent tails.
    pub fn spool(&self) -> PathBuf {
        self.home.join("spool")
    }

    /// Starts the process; its log goes to `agent.log`, after the log of the one before.
    pub fn start(&mut self) -> anyhow::Result<()> {
        ensure!(self.child.is_none(), "the agent runs already");
        let log = File::options().create(true).append(true).open(self.home.join("agent.log"))?;
        let child = self
            .command(&["run"])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// SIGKILL: what a crash does.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut child = self.running()?;
        let early = child.try_wait()?;
        child.kill()?;
        let status = child.wait()?;
        match early {
            None => {
                ensure!(
                    status.signal() == Some(Signal::SIGKILL as i32),
                    "the agent left by itself: {status}"
                );
                Ok(())
            }
            Some(status) => {
                bail!("the agent had left before it was killed: {status}; its log:\n{}", self.log_end())
            }
        }
    }

    /// SIGTERM, then waits for a clean exit.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let mut child = self.running()?;
        kill(Pid::from_raw(i32::try_from(child.id())?), Signal::SIGTERM)?;
        let mut status = child.try_wait()?;
        if !eventually(STOP_DEADLINE, || {
            status = status.or_else(|| child.try_wait().ok().flatten());
            status.is_some()
        }) {
            child.kill()?;
            child.wait()?;
            bail!(
                "the agent did not leave within {STOP_DEADLINE:?} of SIGTERM; its log:\n{}",
                self.log_end()
            );
        }
        match status {
            Some(status) if status.success() => Ok(()),
            other => bail!("the agent did not leave cleanly: {other:?}; its log:\n{}", self.log_end()),
        }
    }

    /// The delivery log's items in one state, as `deliveries list --json` prints them.
    pub fn deliveries(&self, state: &str) -> anyhow::Result<Vec<Value>> {
        let output = self.command(&["deliveries", "list", "--state", state, "--json"]).output()?;
        let text = String::from_utf8(output.stdout)?;
        ensure!(
            output.status.success(),
            "deliveries list failed with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        match serde_json::from_str(&text) {
            Ok(Value::Array(items)) => Ok(items),
            _ => text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect(),
        }
    }

    /// The last lines of the agent's log, for a failure's message.
    pub fn log_end(&self) -> String {
        let log = fs::read_to_string(self.home.join("agent.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn running(&mut self) -> anyhow::Result<Child> {
        self.child.take().context("the agent is not running")
    }

    /// The program with the configuration of this agent and nothing of our own environment that it reads.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--config").arg(self.home.join("agent.toml"));
        for name in ["REFLECTOR_API_URL", "JITSI_WEBHOOK_SECRET", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Nobody is left to tell: the process is gone either way.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn configuration(home: &Path, settings: &Settings) -> String {
    let path = |name: &str| Value::from(home.join(name).display().to_string());
    let delivery = settings
        .batch_max_events
        .map_or(String::new(), |most| format!("[delivery]\nbatch-max-events = {most}\n"));
    format!(
        "[api]\nurl = {}\nsecret-file = {}\nrooms = [\"reflector-*\"]\n\
         [spool]\ndirectory = {}\n[recordings]\nroots = [{}]\n[outbox]\ndirectory = {}\n{delivery}",
        Value::from(settings.url.as_str()),
        path("secret"),
        path("spool"),
        path("recordings"),
        path("outbox"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_every_path_below_its_home() {
        let settings =
            Settings { url: "http://127.0.0.1:1".into(), secret: "s".into(), batch_max_events: Some(1) };
        let text = configuration(Path::new("/a \"b\""), &settings);
        assert!(text.contains("directory = \"/a \\\"b\\\"/spool\"\n"), "{text}");
        assert!(text.ends_with("[delivery]\nbatch-max-events = 1\n"), "{text}");
    }
}
