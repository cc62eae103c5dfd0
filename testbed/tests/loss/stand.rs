//! One agent between a spool that is written to and a sink that remembers.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use contract::signature::Secrets;
use tempfile::TempDir;
use testbed::load::{Agent, Lines, Paced, Plan, Settings, SpoolWriter};
use testbed::sink::{Ledger, Sink};
use testbed::wait::eventually;

/// How long anything that must happen may take on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
/// The secret that the sink knows.
pub(crate) const SECRET: &str = "loss-tests-0123456789abcdef0123456789";
const ROOMS: usize = 8;

/// A running agent, its sink, and the directory that holds its files.
pub(crate) struct Stand {
    pub(crate) sink: Sink,
    pub(crate) agent: Agent,
    home: TempDir,
}

impl Stand {
    /// A sink that checks signatures and an agent that has been started; `batch_max_events` as in its configuration.
    pub(crate) fn start(batch_max_events: Option<u32>) -> Self {
        let mut stand = Self::prepare(batch_max_events);
        stand.agent.start().unwrap();
        stand
    }

    /// The same with an agent that has not been started yet.
    pub(crate) fn prepare(batch_max_events: Option<u32>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let secrets = Secrets::parse(SECRET).unwrap();
        let sink = Sink::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), Some(secrets)).unwrap();
        let settings = Settings { url: sink.url(), secret: SECRET.to_owned(), batch_max_events };
        let agent = Agent::prepare(home.path(), &settings).unwrap();
        Self { sink, agent, home }
    }

    /// A writer of the agent's spool with ids of its own.
    pub(crate) fn writer(&self) -> SpoolWriter {
        SpoolWriter::create(&self.agent.spool(), Lines::in_rooms(fastrand::u64(..) >> 32, ROOMS)).unwrap()
    }

    /// A writer at work.
    pub(crate) fn write(&self, plan: Plan) -> Paced {
        Paced::start(self.writer(), plan)
    }

    /// Waits until the sink holds at least `count` events.
    pub(crate) fn arrived(&self, count: usize) {
        self.until(&format!("{count} events have arrived"), |ledger| ledger.distinct() >= count);
    }

    /// Waits for anything that the ledger tells.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&Ledger) -> bool) {
        let held = self.sink.wait_until(DEADLINE, &mut holds);
        assert!(held, "waited {DEADLINE:?} for: {what}; there are {}", self.report());
    }

    /// Waits until every written event but `poison` has arrived, then checks all promises.
    pub(crate) fn all_arrived(&self, writer: &SpoolWriter, poison: &HashSet<String>) {
        self.arrived(writer.count() - poison.len());
        self.sink.ledger(|ledger| check(ledger, writer, poison));
    }

    fn report(&self) -> String {
        let counts = self.sink.ledger(|ledger| {
            format!(
                "{} events, {} duplicates, {} requests of which {} accepted and {} badly signed",
                ledger.distinct(),
                ledger.duplicates(),
                ledger.requests(),
                ledger.accepted_requests(),
                ledger.bad_signatures()
            )
        });
        format!(
            "{counts}; files in {}; the agent's log ends:\n{}",
            self.home.path().display(),
            self.agent.log_end()
        )
    }
}

/// Waits until a paced writer is so far; it must still be at work then, or the fault would not fall into its work.
pub(crate) fn written(paced: &Paced, count: usize) {
    let enough = eventually(DEADLINE, || paced.written() >= count || !paced.is_running());
    assert!(enough && paced.is_running(), "the writer ended before line {count}, at {}", paced.written());
}

fn check(ledger: &Ledger, writer: &SpoolWriter, poison: &HashSet<String>) {
    let written: HashSet<&str> = writer.written().values().flatten().map(String::as_str).collect();
    let unknown: Vec<&str> = ledger.ids().filter(|id| !written.contains(id)).collect();
    assert!(unknown.is_empty(), "arrived but never written: {unknown:?}");
    for (room, ids) in writer.written() {
        let expected: Vec<&str> = ids.iter().map(String::as_str).filter(|id| !poison.contains(*id)).collect();
        let arrived: Vec<&str> = ledger.order(room).iter().map(AsRef::as_ref).collect();
        let differs = expected.iter().zip(&arrived).position(|(a, b)| a != b);
        assert!(
            expected == arrived,
            "room {room}: {} written, {} arrived, first difference at {differs:?}",
            expected.len(),
            arrived.len()
        );
    }
    assert_eq!(ledger.bad_signatures(), 0);
}
