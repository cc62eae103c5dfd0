//! Log lines for systemd's journal: the line for people, and beside it each of its fields, to be asked for by name
//! (`journalctl -u reflector-agent ROOM=reflector-a`).
//!
//! Written here, and not by a library, for the line's sake: `journalctl` shows people the message alone, so it must hold
//! what the fields say.

mod entry;

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use self::entry::Entry;

/// Where the journal takes entries.
const SOCKET: &str = "/run/systemd/journal/socket";

/// How long the journal may take to make room for an entry. The agent's work does not wait for a log that hangs.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether what this process writes to standard error goes into the journal.
pub fn is_stderr() -> bool {
    let stream = std::env::var("JOURNAL_STREAM").unwrap_or_default();
    fstat(std::io::stderr()).is_ok_and(|stderr| is_stream(&stream, stderr.st_dev, stderr.st_ino))
}

/// Whether `stream`, as systemd names the journal's end, is the file with these numbers: it stays in the environment of
/// programs whose output was sent elsewhere.
fn is_stream(stream: &str, device: u64, inode: u64) -> bool {
    stream == format!("{device}:{inode}")
}

/// What stands before a line on standard error, for the journal to see how grave it is.
pub fn mark(level: Level) -> String {
    if is_stderr() { format!("<{}>", entry::priority(level)) } else { String::new() }
}

/// The layer that sends log lines to the journal.
pub struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// The journal of this host.
    pub fn new() -> std::io::Result<Self> {
        Self::at(Path::new(SOCKET))
    }

    fn at(path: &Path) -> std::io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Not by a connection, so that a journal that is started again gets the next entry.
    fn send(&self, entry: &Entry) -> std::io::Result<()> {
        self.socket.send_to(&entry.encode(), &self.path).map(|_| ())
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::new(event.metadata());
        event.record(&mut entry);
        match self.send(&entry) {
            // A journal that takes nothing would not take it on standard error either.
            Err(error) if error.kind() != ErrorKind::WouldBlock => {
                let _ = writeln!(std::io::stderr(), "<{}>{}", entry.priority(), entry.message());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn standard_error_is_the_journals_when_the_numbers_are_the_same() {
        for (stream, expected) in [("8:77", true), ("8:78", false), ("9:77", false), ("", false)] {
            assert_eq!(is_stream(stream, 8, 77), expected, "{stream}");
        }
    }

    #[test]
    fn a_line_arrives_as_one_entry_with_its_fields_and_a_journal_that_comes_later_gets_the_next() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let subscriber = tracing_subscriber::registry().with(Journal::at(&path).unwrap());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!("nobody is there yet");
            let journal = UnixDatagram::bind(&path).unwrap();
            let reason = "no such room\nPRIORITY=0";
            tracing::warn!(
                count.parked = 1,
                room = "reflector-a",
                event.id = "evt_1",
                reason,
                wait_ms = 5,
                "parked"
            );
            let mut buffer = [0; 4096];
            let length = journal.recv(&mut buffer).unwrap();
            let entry = String::from_utf8_lossy(&buffer[..length]);
            for line in [
                "MESSAGE=parked room=reflector-a event.id=evt_1 reason=\"no such room\\nPRIORITY=0\" wait_ms=5",
                "PRIORITY=4",
                "SYSLOG_IDENTIFIER=reflector-agent",
                "TARGET=agent::journal::tests",
                "ROOM=reflector-a",
                "EVENT_ID=evt_1",
                "WAIT_MS=5",
                "COUNT_PARKED=1",
            ] {
                assert!(entry.lines().any(|found| found == line), "{line} is not in {entry}");
            }
            assert!(
                entry.contains("REASON\n\u{17}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}no such room\nPRIORITY=0\n")
            );
        });
    }
}
