//! A shipper between a spool file and a sink, and the two things that are measured about it.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::bench::stats::{millis, number};
use crate::home;
use crate::load::{Agent, Lines, Settings, SpoolWriter, cpu_time, memory};
use crate::process::Process;
use crate::sink::{Ledger, Sink};
use crate::wait::eventually;

/// The rooms over which events are spread.
const ROOMS: usize = 8;
/// How long anything that must happen may take.
const DEADLINE: Duration = Duration::from_mins(1);
/// How long an outage of days may take here.
const LONG: Duration = Duration::from_mins(10);
/// The hours of the outage, in each of which a share of the events is written.
const HOURS: usize = 72;
/// How long a process uses no CPU before it counts as quiet.
const QUIET: Duration = Duration::from_millis(300);

/// Who carries the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shipper {
    /// The bare loop.
    Floor,
    /// The agent, with at most this many events in a request, or its own default.
    Agent(Option<u32>),
}

/// The running program.
enum Running {
    Floor(Process),
    Agent(Agent),
}

/// A running shipper that has delivered its first event.
pub(super) struct Stage {
    running: Running,
    sink: Sink,
    writer: SpoolWriter,
    _home: TempDir,
}

/// What an outage cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outage {
    /// The share of a processor that the agent used while everything waited.
    pub(super) busy: f64,
    /// Resident memory while everything waited.
    pub(super) resident_kib: u64,
    /// The highest that it ever was.
    pub(super) peak_kib: u64,
    /// The size of the outbox.
    pub(super) outbox_bytes: u64,
    /// Events per second afterwards, from the first arrival to the last.
    pub(super) rate: f64,
    /// Events that arrived twice.
    pub(super) duplicates: u64,
}

/// What the delivery of a backlog cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backlog {
    /// Events per second, from the first arrival to the last.
    pub(super) rate: f64,
    /// CPU time in milliseconds per 1,000 events, until the shipper was quiet again.
    pub(super) cpu_per_thousand: f64,
}

impl Stage {
    pub(super) fn start(shipper: Shipper) -> anyhow::Result<Self> {
        let home = home::directory()?;
        let sink = Sink::start()?;
        let lines = Lines::in_rooms(fastrand::u64(..) >> 32, ROOMS);
        let (running, writer) = match shipper {
            Shipper::Floor => {
                let writer = SpoolWriter::create(home.path(), lines)?;
                (Running::Floor(start_floor(home.path(), sink.address())?), writer)
            }
            Shipper::Agent(batch_max_events) => {
                let secret = "benchmark-0123456789abcdef0123456789".to_owned();
                let mut agent =
                    Agent::prepare(home.path(), &Settings { url: sink.url(), secret, batch_max_events })?;
                let writer = SpoolWriter::create(&agent.spool(), lines)?;
                agent.start()?;
                (Running::Agent(agent), writer)
            }
        };
        let mut stage = Self { running, sink, writer, _home: home };
        stage.writer.append(1)?;
        stage.wait_for(1)?;
        stage.wait_until_quiet()?;
        Ok(stage)
    }

    pub(super) fn pid(&self) -> anyhow::Result<u32> {
        match &self.running {
            Running::Floor(process) => Ok(u32::try_from(process.pid())?),
            Running::Agent(agent) => agent.pid().context("the agent is not running"),
        }
    }

    /// Appends `events` lines at once and waits until they have arrived and the shipper is quiet.
    pub(super) fn backlog(&mut self, events: usize) -> anyhow::Result<Backlog> {
        self.sink.clear();
        let before = cpu_time(self.pid()?)?;
        self.writer.append(events)?;
        self.wait_for(events)?;
        let span = self.sink.ledger(|ledger| ledger.span().map(|(first, last)| last - first));
        self.wait_until_quiet()?;
        let cpu = cpu_time(self.pid()?)?.saturating_sub(before);
        let span = span.context("nothing arrived")?;
        Ok(Backlog {
            rate: number(events) / span.as_secs_f64(),
            cpu_per_thousand: millis(cpu) / number(events) * 1_000.0,
        })
    }

    /// Appends `events` lines with `gap` between two and returns for each the milliseconds until it arrived.
    pub(super) fn latencies(&mut self, events: usize, gap: Duration) -> anyhow::Result<Vec<f64>> {
        self.sink.clear();
        let mut appended = Vec::with_capacity(events);
        for _ in 0..events {
            thread::sleep(gap);
            let at = Instant::now();
            self.writer.append(1)?;
            appended.push((self.writer.last_id().to_owned(), at));
        }
        self.wait_for(events)?;
        let arrival = |(id, at): &(String, Instant)| {
            let arrival = self.sink.ledger(|ledger| ledger.find(id)).context("an event did not arrive")?;
            Ok(millis(arrival.first.saturating_duration_since(*at)))
        };
        appended.iter().map(arrival).collect()
    }

    /// The API is away while `events` are written, one share an hour of three days, and for `watched` after that.
    pub(super) fn outage(&mut self, events: usize, watched: Duration) -> anyhow::Result<Outage> {
        let Running::Agent(agent) = &self.running else { anyhow::bail!("only the agent waits for its API") };
        let pid = agent.pid().context("the agent is not running")?;
        self.sink.close()?;
        let early: HashSet<String> = self.sink.ledger(|ledger| ledger.ids().map(str::to_owned).collect());
        self.sink.clear();
        for hour in 0..HOURS {
            self.writer.append(events * (hour + 1) / HOURS - events * hour / HOURS)?;
        }
        let queued = eventually(LONG, || agent.waiting().is_ok_and(|waiting| waiting >= events));
        ensure!(queued, "the outbox has {:?} of {events} events; {}", agent.waiting(), agent.log_end());
        self.wait_until_quiet()?;
        let before = cpu_time(pid)?;
        thread::sleep(watched);
        let busy = cpu_time(pid)?.saturating_sub(before);
        let held = memory(pid)?;
        let outbox = fs::metadata(agent.home().join("outbox/outbox.sqlite3"))?.len();
        self.sink.open()?;
        let arrived = self.sink.wait_until(LONG, |ledger| ledger.distinct() >= events);
        ensure!(arrived, "{} of {events} arrived; {}", self.sink.ledger(Ledger::distinct), agent.log_end());
        let span = self.sink.ledger(|ledger| ledger.span().map(|(first, last)| last - first));
        let in_order = self.sink.ledger(|ledger| {
            self.writer.written().iter().all(|(room, ids)| {
                let arrived = ledger.order(room).iter().map(AsRef::as_ref);
                // The first events arrived before the outage.
                arrived.eq(ids.iter().map(String::as_str).filter(|id| !early.contains(*id)))
            })
        });
        ensure!(in_order, "a room's events arrived in another order than they were written");
        Ok(Outage {
            busy: millis(busy) / millis(watched),
            resident_kib: held.resident_kib,
            peak_kib: memory(pid)?.peak_kib,
            outbox_bytes: outbox,
            rate: number(events) / span.context("nothing arrived")?.as_secs_f64(),
            duplicates: self.sink.ledger(Ledger::duplicates),
        })
    }

    fn wait_for(&self, events: usize) -> anyhow::Result<()> {
        let arrived = self.sink.wait_until(DEADLINE, |ledger| ledger.distinct() >= events);
        let counts = self.sink.ledger(|ledger| (ledger.distinct(), ledger.requests()));
        let log = if let Running::Agent(agent) = &self.running { agent.log_end() } else { String::new() };
        ensure!(
            arrived,
            "{counts:?} events and requests arrived of {events} events within {DEADLINE:?}; {log}"
        );
        Ok(())
    }

    fn wait_until_quiet(&self) -> anyhow::Result<()> {
        let pid = self.pid()?;
        let mut last = (cpu_time(pid)?, Instant::now());
        let quiet = eventually(DEADLINE, || {
            let now = cpu_time(pid).unwrap_or_default();
            if now != last.0 {
                last = (now, Instant::now());
            }
            last.1.elapsed() >= QUIET
        });
        ensure!(quiet, "the shipper still uses CPU {DEADLINE:?} after its last event");
        Ok(())
    }
}

fn start_floor(home: &Path, sink: SocketAddr) -> anyhow::Result<Process> {
    let mut command = Command::new(env::current_exe()?);
    command.arg("floor").arg("--spool").arg(home.join("events.jsonl"));
    command.arg("--log").arg(home.join("floor.log")).arg("--sink").arg(sink.to_string());
    Process::spawn("floor", &command, &home.join("floor.err"))
}
