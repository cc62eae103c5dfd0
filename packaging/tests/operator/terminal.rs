//! A command at a terminal of a machine, and a person who answers what it asks.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use packaging::machine::Machine;
use testbed::wait::eventually;

/// How long the next question, or the end, may take.
const PATIENCE: Duration = Duration::from_mins(2);

/// A command that runs at a terminal. It ends with the machine.
pub(crate) struct Terminal {
    child: Child,
    keyboard: Option<ChildStdin>,
    screen: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
    /// How much of the screen has been answered.
    read: usize,
}

impl Terminal {
    /// Runs a shell command at a new terminal.
    pub(crate) fn open(machine: &Machine, command: &str) -> Self {
        let mut child = Command::new("nsenter")
            .args(["--all", "--target", &machine.leader().to_string()])
            .args([
                "env",
                "--ignore-environment",
                "--chdir=/root",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root",
            ])
            .args(["LANG=C.UTF-8", "TERM=linux", "SHELL=/bin/bash", "DEBIAN_FRONTEND=noninteractive"])
            .args(["script", "--quiet", "--return", "--flush", "--command", command, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let keyboard = child.stdin.take();
        let mut output = child.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&screen);
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            }
        });
        Self { child, keyboard, screen, reader, read: 0 }
    }

    /// Waits for a question that holds `words`, and types an answer to it.
    pub(crate) fn answer(&mut self, words: &str, answer: &str) {
        let mut end = None;
        let asked = eventually(PATIENCE, || {
            let screen = self.shown();
            end = screen[self.read..].find(words).map(|at| self.read + at + words.len());
            end.is_some() || self.reader.is_finished()
        });
        self.read =
            end.unwrap_or_else(|| panic!("nobody asked for {words:?} (in time: {asked}):\n{}", self.shown()));
        let keyboard = self.keyboard.as_mut().unwrap();
        keyboard.write_all(format!("{answer}\n").as_bytes()).unwrap();
        keyboard.flush().unwrap();
    }

    /// Waits for the end; what was shown, and the exit code.
    pub(crate) fn end(mut self) -> (String, Option<i32>) {
        let ended = eventually(PATIENCE, || self.reader.is_finished());
        assert!(ended, "still running:\n{}", self.shown());
        drop(self.keyboard.take());
        let code = self.child.wait().unwrap().code();
        (self.shown(), code)
    }

    fn shown(&self) -> String {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
