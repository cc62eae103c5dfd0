//! Programs that run beside a test or a demo and never outlive it.
//!
//! Each runs in its own process group, so that Ctrl-C in a terminal reaches the testbed alone, which then ends them in
//! order. If the testbed itself dies, the kernel sends them SIGTERM (`setpriv --pdeathsig` of util-linux).

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::eventually;

/// How long a program may take to end after SIGTERM before it is killed.
const GRACE: Duration = Duration::from_secs(15);

/// A running program with its output in a log file. Dropping it ends it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: i32,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, which gets SIGTERM when the testbed dies; its output is appended to `log`.
    pub fn spawn(name: &str, command: &Command, log: &Path) -> Result<Self> {
        let output =
            File::options().create(true).append(true).open(log).with_context(|| log.display().to_string())?;
        let program = Path::new(command.get_program());
        ensure!(is_installed(program), "{} is not installed; run: make setup", program.display());
        let mut guarded = guarded(command);
        guarded.process_group(0).stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = spawn_on_lasting_thread(guarded).with_context(|| format!("{name} does not start"))?;
        let pid = i32::try_from(child.id())?;
        Ok(Self { name: name.to_owned(), child, pid, log: log.to_owned() })
    }

    /// The process id.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(Pid::from_raw(self.pid), signal).with_context(|| format!("{signal} to {}", self.name))
    }

    /// The exit status, if the program has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits for the program's own end.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let mut status = None;
        eventually(deadline, || {
            status = self.child.try_wait().ok().flatten();
            status.is_some()
        });
        status.with_context(|| format!("{} did not end within {deadline:?}{}", self.name, self.last_words()))
    }

    /// Asks the program to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        self.signal(Signal::SIGTERM)?;
        // A test may have stopped it, and a stopped program does not see SIGTERM.
        self.signal(Signal::SIGCONT)?;
        self.wait(GRACE)
    }

    /// Ends the program without a warning (SIGKILL).
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("SIGKILL to {}", self.name))?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until `ready` holds. Fails at once, with the end of the log, if the program ends before.
    pub fn wait_until(&mut self, deadline: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let mut ended = None;
        let holds = eventually(deadline, || {
            ended = self.child.try_wait().ok().flatten();
            ended.is_some() || ready()
        });
        if let Some(status) = ended {
            bail!("{} ended with {status}{}", self.name, self.last_words());
        }
        if !holds {
            bail!("{} was not ready within {deadline:?}{}", self.name, self.last_words());
        }
        Ok(())
    }

    /// The end of what the program wrote, for an error message.
    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(15).collect();
        let tail: Vec<&str> = lines.into_iter().rev().collect();
        format!("; the end of {}:\n{}", self.log.display(), tail.join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // If even this fails, the program is gone already.
            let _ = self.kill();
        }
    }
}

/// The same command, run by a program that asks the kernel for SIGTERM when its parent dies.
fn guarded(command: &Command) -> Command {
    let mut guarded = Command::new("setpriv");
    guarded.args(["--pdeathsig", "TERM", "--"]).arg(command.get_program()).args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => guarded.env(key, value),
            None => guarded.env_remove(key),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        guarded.current_dir(directory);
    }
    guarded
}

/// Whether a program can be found, by its path or in `PATH`.
fn is_installed(program: &Path) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Joined to a directory, an absolute path stays what it is.
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Keeps the caller's environment away from a program, but for where programs are: a variable that configures the real thing
/// on this host must not configure the one in the box.
pub fn isolate(command: &mut Command) -> &mut Command {
    for (key, _) in std::env::vars_os().filter(|(key, _)| key != "PATH") {
        command.env_remove(key);
    }
    command
}

/// The program of this workspace that was built together with the running one.
pub fn program(name: &str) -> Result<PathBuf> {
    let here = std::env::current_exe()?;
    let found =
        here.ancestors().skip(1).take(2).map(|directory| directory.join(name)).find(|path| path.is_file());
    found.with_context(|| format!("{name} is not built; build it with: cargo build --workspace --bins"))
}

/// A command to start, and where to send the child.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

/// The kernel sends the parent-death signal when the *thread* that started a child ends, so all children are started by
/// one thread that lasts as long as this process.
fn spawn_on_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<Order>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Whoever asked may have given up meanwhile.
                let _ = answer.send(command.spawn());
            }
        });
        orders
    });
    let (answer, child) = mpsc::channel();
    spawner.send((command, answer)).expect("the spawner runs as long as this process");
    child.recv().expect("the spawner answers every order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_process_is_gone_even_if_it_was_stopped() {
        let directory = tempfile::tempdir().unwrap();
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        let process = Process::spawn("sleep", &sleep, &directory.path().join("log")).unwrap();
        let pid = Pid::from_raw(process.pid());
        process.signal(Signal::SIGSTOP).unwrap();
        drop(process);
        assert!(kill(pid, None).is_err());
    }

    #[test]
    fn a_program_that_is_missing_is_reported_with_the_next_step() {
        let directory = tempfile::tempdir().unwrap();
        let missing = Command::new("no-such-program");
        let error = Process::spawn("it", &missing, &directory.path().join("log")).unwrap_err().to_string();
        assert_eq!(error, "no-such-program is not installed; run: make setup");
    }

    #[test]
    fn a_program_that_ends_too_early_is_reported_with_its_last_words() {
        let directory = tempfile::tempdir().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo no such luck; exit 3"]);
        let mut process = Process::spawn("sh", &shell, &directory.path().join("log")).unwrap();
        let error = process.wait_until(Duration::from_secs(10), || false).unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("no such luck"), "{error}");
    }
}
