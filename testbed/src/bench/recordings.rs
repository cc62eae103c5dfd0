//! The recordings source: from Jibri's last byte to the API, and a disk with many old recordings.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use super::announce;
use super::figure::{Aim, Figure};
use super::scale::Scale;
use super::stats::{millis, percentile};
use crate::home;
use crate::load::{self, Agent, Settings, cpu_time};
use crate::sink::{Ledger, Sink};

/// How long anything that must happen may take.
const DEADLINE: Duration = Duration::from_mins(5);

/// The size of a recording of which the arrival is measured, in bytes. It is read through before it is told.
const SIZE: usize = 4 << 20;

/// What Jibri writes last.
const METADATA: &str = r#"{"meeting_url":"https://meet.example.com/reflector-bench","participants":[]}"#;

/// Both measurements.
pub(super) fn measure(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    detection(scale, figures, out)?;
    many_sessions(scale, figures, out)
}

/// From the moment in which `metadata.json` is closed to the arrival of the recording's notice, one recording at a time.
fn detection(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    announce(out, &format!("recordings: detection of {} of 4 MiB", scale.recordings))?;
    let mut stage = Stage::prepare()?;
    stage.agent.start()?;
    let media = mp4(SIZE);
    stage.record("first", &mp4(100))?;
    stage.wait_for(1)?;
    let mut waits = Vec::with_capacity(scale.recordings);
    for number in 0..scale.recordings {
        let directory = stage.session(&format!("session-{number}"))?;
        fs::write(directory.join(NAME), &media)?;
        // The recording is known as one that grows, as Jibri's is for an hour.
        thread::sleep(Duration::from_millis(200));
        fs::write(directory.join("metadata.json"), METADATA)?;
        let closed = Instant::now();
        stage.wait_for(2 + number)?;
        let arrived = stage.latest()?;
        waits.push(millis(arrived.saturating_duration_since(closed)));
    }
    for (what, percent, aim) in [
        ("recordings, metadata.json closed to the notice's arrival, p50", 50, 50.0),
        ("recordings, metadata.json closed to the notice's arrival, p99", 99, 250.0),
    ] {
        figures.push(Figure {
            what,
            product: format!("{} recordings of 4 MiB", waits.len()),
            reference: String::new(),
            value: percentile(&waits, percent),
            unit: "ms",
            aim: Aim::AtMost(aim),
        });
    }
    Ok(())
}

/// A root with many recordings that were all told before: how long a start takes until a new one is told, and what the
/// agent then costs.
fn many_sessions(scale: &Scale, figures: &mut Vec<Figure>, out: &mut impl Write) -> anyhow::Result<()> {
    announce(out, &format!("recordings: {} old sessions are told", scale.sessions))?;
    let mut stage = Stage::prepare()?;
    let media = mp4(1_000);
    for number in 0..scale.sessions {
        stage.record(&format!("old-{number:05}"), &media)?;
    }
    stage.agent.start()?;
    stage.wait_for(scale.sessions)?;
    stage.agent.stop()?;
    announce(out, "recordings: a start with these sessions")?;
    stage.sink.clear();
    // The last one that a scan in any sensible order comes to.
    stage.record("zz-new", &media)?;
    let started = Instant::now();
    stage.agent.start()?;
    stage.wait_for(1)?;
    let arrived = stage.latest()?;
    figures.push(Figure {
        what: "recordings, start with 10,000 old sessions, until a new one is told",
        product: format!("{} sessions", scale.sessions),
        reference: String::new(),
        value: millis(arrived.saturating_duration_since(started)) / 1_000.0,
        unit: "s",
        aim: Aim::AtMost(2.0),
    });
    let pid = stage.agent.pid().context("the agent is not running")?;
    thread::sleep(scale.idle);
    let before = cpu_time(pid)?;
    let span = scale.idle * 3;
    thread::sleep(span);
    let busy = cpu_time(pid)?.saturating_sub(before);
    let resident = load::memory(pid)?.resident_kib / 1_024;
    figures.push(Figure {
        what: "recordings, CPU while idle with 10,000 sessions",
        product: format!("{:.0} ms in {} s; {resident} MiB resident", millis(busy), span.as_secs()),
        reference: String::new(),
        value: millis(busy) / millis(span) * 100.0,
        unit: "%",
        aim: Aim::AtMost(0.2),
    });
    Ok(())
}

/// The name of every media file here.
const NAME: &str = "reflector-bench_2026-08-05-13-56-46.mp4";

/// An agent with a root of its own, and the sink that it reports to.
struct Stage {
    agent: Agent,
    sink: Sink,
    home: TempDir,
}

impl Stage {
    fn prepare() -> anyhow::Result<Self> {
        let (home, sink) = (home::directory()?, Sink::start()?);
        let secret = "benchmark-0123456789abcdef0123456789".to_owned();
        let agent =
            Agent::prepare(home.path(), &Settings { url: sink.url(), secret, batch_max_events: None })?;
        Ok(Self { agent, sink, home })
    }

    fn session(&self, name: &str) -> anyhow::Result<std::path::PathBuf> {
        let directory = self.home.path().join("recordings").join(name);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }

    /// A whole recording.
    fn record(&self, session: &str, media: &[u8]) -> anyhow::Result<()> {
        let directory = self.session(session)?;
        write(&directory, NAME, media)?;
        write(&directory, "metadata.json", METADATA.as_bytes())
    }

    /// When the latest notice arrived.
    fn latest(&self) -> anyhow::Result<Instant> {
        Ok(self.sink.ledger(Ledger::span).context("nothing arrived")?.1)
    }

    fn wait_for(&self, recordings: usize) -> anyhow::Result<()> {
        let arrived = self.sink.wait_until(DEADLINE, |ledger| ledger.distinct() >= recordings);
        ensure!(arrived, "{recordings} recordings did not arrive in {DEADLINE:?}:\n{}", self.agent.log_end());
        Ok(())
    }
}

fn write(directory: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    fs::write(directory.join(name), bytes).with_context(|| format!("cannot write {name}"))
}

/// A whole mp4 of about this size, as far as its boxes tell.
fn mp4(size: usize) -> Vec<u8> {
    let boxed = |name: &[u8], content: &[u8]| {
        let length = u32::try_from(content.len() + 8).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], name, content].concat()
    };
    [boxed(b"ftyp", b"isom"), boxed(b"mdat", &vec![7; size]), boxed(b"moov", &[])].concat()
}
