//! The real `reflector-agent`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::ports;
use crate::process::{self, Process};

const START: Duration = Duration::from_secs(20);

/// A running agent. It is stopped when dropped.
#[derive(Debug)]
pub struct Agent {
    process: Process,
    config: PathBuf,
    listener: u16,
}

/// What an agent is told.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// Where deliveries go.
    pub url: &'a str,
    /// What signs them.
    pub secret: &'a str,
    /// The module's spool directory.
    pub spool: &'a Path,
    /// Jibri's recordings directory.
    pub recordings: &'a Path,
    /// After how many quiet seconds a file without metadata counts as abandoned.
    pub orphan_after_seconds: u32,
}

impl Agent {
    /// Starts an agent with its configuration and outbox in `directory`.
    pub fn start(directory: &Path, settings: Settings<'_>) -> Result<Self> {
        let outbox = directory.join("outbox");
        fs::create_dir_all(&outbox)?;
        let secret = directory.join("secret");
        fs::write(&secret, settings.secret)?;
        let config = directory.join("agent.toml");
        let listener = ports::free()?;
        fs::write(&config, text(settings, &secret, &outbox, listener))?;
        let process = launch(&config, listener)?;
        Ok(Self { process, config, listener })
    }

    /// The process, for signals.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// The port of its listener for `event_sync`, health checks and metrics.
    pub fn listener(&self) -> u16 {
        self.listener
    }

    /// Its configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Starts the agent again after it has ended.
    pub fn restart(&mut self) -> Result<()> {
        self.process = launch(&self.config, self.listener)?;
        Ok(())
    }

    /// Starts the agent again if it has ended, as a service manager does.
    pub fn revive(&mut self) -> Result<()> {
        if self.process.ended()?.is_some() { self.restart() } else { Ok(()) }
    }

    /// The answer of one of the agent's own commands.
    pub fn ask(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments)?;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same for a command whose exit code is a judgement, as `doctor`'s is.
    pub fn report(&self, arguments: &[&str]) -> Result<String> {
        Ok(String::from_utf8(self.command(arguments)?.stdout)?)
    }

    fn command(&self, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new(process::program("reflector-agent")?);
        Ok(process::isolate(&mut command).args(arguments).arg("--config").arg(&self.config).output()?)
    }
}

fn launch(config: &Path, listener: u16) -> Result<Process> {
    let mut command = Command::new(process::program("reflector-agent")?);
    process::isolate(&mut command).arg("run").arg("--config").arg(config);
    let mut process = Process::spawn("reflector-agent", &command, &config.with_extension("log"))?;
    // It listens last, when everything else has been prepared.
    process.wait_until(START, || ports::answers(listener))?;
    Ok(process)
}

/// The text of `agent.toml`. Failures are retried soon, so that tests of failures are short.
fn text(settings: Settings<'_>, secret: &Path, outbox: &Path, listener: u16) -> String {
    format!(
        r#"[api]
url = "{url}"
secret-file = "{secret}"

[spool]
directory = "{spool}"
rescan-seconds = 1

[recordings]
roots = ["{recordings}"]
rescan-seconds = 1
orphan-after-seconds = {orphan}

[event-sync]
listen = "127.0.0.1:{listener}"

[outbox]
directory = "{outbox}"

[delivery]
backoff-min-seconds = 1
backoff-max-seconds = 2
"#,
        url = settings.url,
        secret = secret.display(),
        spool = settings.spool.display(),
        recordings = settings.recordings.display(),
        orphan = settings.orphan_after_seconds,
        outbox = outbox.display(),
    )
}
