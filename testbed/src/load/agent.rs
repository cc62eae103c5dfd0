//! A process of the shipped `reflector-agent` with a configuration, a spool and an outbox of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use super::binary;
use crate::process::Process;

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

/// An agent, running or not. Dropping it ends the process and leaves the files.
#[derive(Debug)]
pub struct Agent {
    home: PathBuf,
    program: PathBuf,
    process: Option<Process>,
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
        Ok(Self { home: home.to_owned(), program, process: None })
    }

    /// The directory that the agent tails.
    pub fn spool(&self) -> PathBuf {
        self.home.join("spool")
    }

    /// The directory with its configuration, secret and log.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Starts the process; its log goes to `agent.log`, after the log of the one before.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.spawn(&self.command(&["run"]))
    }

    /// Starts it through a program that becomes it in the end (`unshare … COMMAND`).
    pub fn start_under(&mut self, wrapper: &[&str]) -> anyhow::Result<()> {
        let agent = self.command(&["run"]);
        let (program, arguments) = wrapper.split_first().context("the wrapper is empty")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(agent.get_program()).args(agent.get_args());
        self.spawn(&command)
    }

    fn spawn(&mut self, command: &Command) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "the agent runs already");
        self.process = Some(Process::spawn("reflector-agent", command, &self.home.join("agent.log"))?);
        Ok(())
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().and_then(|process| u32::try_from(process.pid()).ok())
    }

    /// SIGKILL: what a crash does. Fails if the agent had left by itself before.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        let mut process = self.running()?;
        if let Some(status) = process.ended()? {
            bail!("the agent had left before it was killed: {status}; its log:\n{}", self.log_end());
        }
        process.kill()
    }

    /// SIGTERM, then waits for a clean exit.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let status = self.running()?.stop()?;
        ensure!(status.success(), "the agent did not leave cleanly: {status}; its log:\n{}", self.log_end());
        Ok(())
    }

    /// How many items wait in the outbox, as `status --json` says.
    pub fn waiting(&self) -> anyhow::Result<usize> {
        let output = self.command(&["status", "--json"]).output()?;
        let status: Value = serde_json::from_slice(&output.stdout)?;
        let ready = status["ready"].as_u64().context("`status --json` names no `ready`")?;
        Ok(usize::try_from(ready)?)
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

    /// What the agent has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.join("agent.log")).unwrap_or_default()
    }

    /// The last lines of the agent's log, for a failure's message.
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn running(&mut self) -> anyhow::Result<Process> {
        self.process.take().context("the agent is not running")
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
