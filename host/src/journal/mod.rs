//! Log lines for systemd's journal: the line for people, and beside it each of its fields, to be asked for by name
//! (`journalctl -u reflector-agent ROOM=reflector-a`).
//!
//! Written here, and not by a library, for the line's sake: `journalctl` shows people the message alone, so it must hold
//! what the fields say.

mod entry;

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use self::entry::Entry;

/// Where the journal takes entries.
const SOCKET: &str = "/run/systemd/journal/socket";

/// How long the journal may take to make room for an entry. One that took longer is waited for no more until it takes entries
/// again: the program's work does not wait for a log that hangs.
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
    identifier: &'static str,
    path: PathBuf,
    /// Waits for room, for as long as patience lasts.
    patient: UnixDatagram,
    /// Does not wait.
    hurried: UnixDatagram,
    /// The entries that the journal has not taken since it hangs.
    lost: AtomicU64,
}

impl Journal {
    /// The journal of this host, which shows the program as `identifier`.
    pub fn new(identifier: &'static str) -> std::io::Result<Self> {
        Self::at(Path::new(SOCKET), identifier)
    }

    fn at(path: &Path, identifier: &'static str) -> std::io::Result<Self> {
        let (patient, hurried) = (UnixDatagram::unbound()?, UnixDatagram::unbound()?);
        patient.set_write_timeout(Some(PATIENCE))?;
        hurried.set_nonblocking(true)?;
        Ok(Self { identifier, path: path.to_owned(), patient, hurried, lost: AtomicU64::new(0) })
    }

    fn take(&self, entry: &Entry) -> std::io::Result<()> {
        let hangs = self.lost.load(Ordering::Relaxed) > 0;
        self.send(if hangs { &self.hurried } else { &self.patient }, entry)?;
        if hangs {
            let lost = self.lost.swap(0, Ordering::Relaxed);
            // Where there is no room for this yet, the next entry tries again.
            if lost > 0 && self.send(&self.hurried, &Entry::of_loss(lost)).is_err() {
                self.lost.fetch_add(lost, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Not by a connection, so that a journal that is started again gets the next entry.
    fn send(&self, socket: &UnixDatagram, entry: &Entry) -> std::io::Result<()> {
        socket.send_to(&entry.encode(self.identifier), &self.path).map(drop)
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::new(event.metadata());
        event.record(&mut entry);
        match self.take(&entry) {
            Ok(()) => {}
            // A journal that takes nothing would not take it on standard error either.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.lost.fetch_add(1, Ordering::Relaxed);
            }
            Err(_) => {
                let _ = writeln!(std::io::stderr(), "<{}>{}", entry.priority(), entry.message());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

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
        let subscriber = tracing_subscriber::registry().with(Journal::at(&path, "reflector-agent").unwrap());
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
                "TARGET=host::journal::tests",
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

    #[test]
    fn a_journal_that_hangs_is_waited_for_once_and_told_afterwards_what_it_has_missed() {
        const LINES: u64 = 2_000;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let hanging = UnixDatagram::bind(&path).unwrap();
        hanging.set_nonblocking(true).unwrap();
        let taken = || {
            let mut buffer = [0; 4096];
            let mut read =
                || hanging.recv(&mut buffer).map(|n| String::from_utf8_lossy(&buffer[..n]).into_owned());
            std::iter::from_fn(|| read().ok()).collect::<Vec<_>>()
        };
        let subscriber = tracing_subscriber::registry().with(Journal::at(&path, "reflector-api").unwrap());
        tracing::subscriber::with_default(subscriber, || {
            let began = Instant::now();
            for number in 0..LINES {
                tracing::info!(number, "served");
            }
            assert!(began.elapsed() < PATIENCE * 5, "{:?}", began.elapsed());
            let lost = LINES - taken().len() as u64;
            assert!(lost > 1, "the socket has room for everything");
            tracing::info!("goes on");
            let entries = taken();
            assert!(entries[0].contains("MESSAGE=goes on\n"), "{entries:?}");
            assert!(entries[1].contains(&format!("did not take in time lines={lost}\n")), "{entries:?}");
            tracing::info!("nothing is lost any more");
            assert_eq!(taken().len(), 1);
        });
    }
}
