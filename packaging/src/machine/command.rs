//! Commands inside a machine.

use std::fmt;
use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};

/// The longest that a command may take, in seconds.
const LIMIT: &str = "300";

/// What `timeout` answers for a command that took too long.
const TOO_LONG: i32 = 124;

/// What came of a command.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Outcome {
    /// The standard output of a command that must have succeeded.
    pub fn succeeded(self, command: &str) -> Result<String> {
        if self.code != Some(0) {
            bail!("{command}\n{self}");
        }
        Ok(self.stdout)
    }

    /// Everything that it said.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(formatter, "exit code {code}")?,
            None => writeln!(formatter, "ended by a signal")?,
        }
        write!(formatter, "{}{}", self.stdout, self.stderr)
    }
}

/// Runs a shell command in all namespaces of a machine's first process. It sees a clean environment, no terminal, and what a
/// login as root would give it.
pub(super) fn run(leader: i32, command: &str, input: &str) -> Result<Outcome> {
    let mut child = Command::new("timeout")
        .args(["--kill-after=10", LIMIT, "nsenter", "--all", "--target", &leader.to_string(), "--wdns=/"])
        .args([
            "env",
            "--ignore-environment",
            "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ])
        .args(["setsid", "--wait", "sh", "-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("timeout and nsenter are needed; run: make setup-packaging")?;
    let mut stdin = child.stdin.take().context("a pipe was asked for")?;
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // A command need not read what it is given.
            let _ = stdin.write_all(input.as_bytes());
        });
        child.wait_with_output()
    })?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outcome =
        Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
    if outcome.code == Some(TOO_LONG) {
        bail!("took longer than {LIMIT} s: {command}\n{outcome}");
    }
    Ok(outcome)
}
