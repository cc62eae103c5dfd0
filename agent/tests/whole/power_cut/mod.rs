//! The power fails at random moments of the agent's work.
//!
//! A real agent runs, is killed, runs again and stops, while a recorder below it writes down every change of its files, every
//! flush, and what it sends. From that, [`disk`] makes what a power cut at any of those moments may leave: what was flushed,
//! and any part of what was not. On every such disk the outbox must open, and must hold
//!
//! - everything that had been sent, because the API's answer may have been lost with the power,
//! - everything that stood in a segment that the agent had removed,
//! - everything that the listener had acknowledged to the stock module,
//! - and nothing as settled that had not been sent.
//!
//! Some of those disks get a new agent, which must bring everything to the API, once and in order.
//!
//! `POWER_SEED` repeats the choice of moments and of what is left.

mod disk;
mod sink;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use agent::outbox::model::State;
use agent::outbox::{DATABASE, Limits, Outbox};
use fastrand::Rng;
use rusqlite::Connection;
use tempfile::TempDir;

use self::disk::{Act, Disk, acts};
use self::sink::{Held, Sink};
use crate::support::{SECRET, config_file, eventually};

/// How many moments are tried, and how many of them are followed by a new agent.
const MOMENTS: usize = 150;
const NEW_AGENTS: usize = 6;

const LIMITS: Limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };

#[test]
fn a_power_cut_at_any_moment_loses_nothing_that_was_sent_or_removed() {
    let seed = std::env::var("POWER_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    let mut random = Rng::with_seed(seed);
    let host = Host::new();
    let acts = host.work();
    let moments = moments(&acts, &mut random);
    let mut disk = host.disk();
    let (mut past, mut sent, mut acknowledged) = (0, BTreeSet::new(), 0);
    for (nth, moment) in moments.iter().enumerate() {
        for act in &acts[past..*moment] {
            disk.take(act);
            sent.extend(ids_in(act));
            acknowledged += u32::from(matches!(act, Act::Sent(bytes) if bytes.starts_with(b"HTTP/1.1 200")));
        }
        past = *moment;
        let removed = host.removed(&acts[..past]);
        let left = home();
        disk.cut(&mut random, host.home.path(), left.path());
        let what = format!("POWER_SEED={seed}, after {past} of {} acts", acts.len());
        let settled = examine(left.path(), &sent, &removed, acknowledged, &what);
        if nth % (MOMENTS / NEW_AGENTS) == 0 {
            host.go_on(left.path(), &settled, &what);
        }
    }
}

/// Moments at random, half of them just after something was sent or removed.
fn moments(acts: &[Act], random: &mut Rng) -> Vec<usize> {
    let telling = |act: &Act| matches!(act, Act::Sent(_) | Act::Unlink(_));
    let tellings: Vec<usize> = (0..acts.len()).filter(|at| telling(&acts[*at])).collect();
    let mut moments: Vec<usize> = (0..MOMENTS)
        .map(|nth| {
            if nth % 2 == 0 {
                tellings[random.usize(..tellings.len())] + 1
            } else {
                random.usize(..acts.len())
            }
        })
        .collect();
    moments.sort_unstable();
    moments
}

/// Opens what is left of the outbox and looks what it holds. Returns the ids of what is settled, in order.
fn examine(
    left: &Path,
    sent: &BTreeSet<String>,
    removed: &BTreeSet<String>,
    acknowledged: u32,
    what: &str,
) -> Vec<String> {
    let outbox = left.join("outbox");
    match Outbox::open(&outbox, LIMITS) {
        Ok((writer, _)) => writer.close(),
        Err(error) => panic!("{what}: the outbox does not open: {error:?}"),
    }
    let database = Connection::open(outbox.join(DATABASE)).unwrap();
    let check: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok", "{what}");
    let mut select = database.prepare("SELECT id, state FROM item ORDER BY seq").unwrap();
    let rows = select.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)));
    let items: Vec<(String, i64)> = rows.unwrap().map(Result::unwrap).collect();
    let held: BTreeSet<&String> = items.iter().map(|(id, _)| id).collect();
    for id in sent.iter().chain(removed) {
        assert!(
            held.contains(id),
            "{what}: {id} was sent, or its file removed, and the outbox does not have it"
        );
    }
    let posted = "SELECT COUNT(*) FROM item JOIN lane ON lane.id = item.lane WHERE room LIKE 'posted-%'";
    let posted: u32 = database.query_row(posted, [], |row| row.get(0)).unwrap();
    assert!(
        posted >= acknowledged,
        "{what}: {acknowledged} posts were acknowledged, the outbox has {posted}"
    );
    let settled: Vec<String> =
        items.iter().filter(|(_, state)| *state == State::Settled as i64).map(|(id, _)| id.clone()).collect();
    for id in &settled {
        assert!(sent.contains(id), "{what}: {id} is settled and was never sent");
    }
    settled
}

/// The ids of the events that an act sends.
fn ids_in(act: &Act) -> Vec<String> {
    let Act::Sent(bytes) = act else { return Vec::new() };
    let text = String::from_utf8_lossy(bytes);
    let ids = text.split("\"id\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    ids.map(str::to_owned).collect()
}

/// A host whose agent is recorded.
struct Host {
    home: TempDir,
    /// The lines of each segment, as room and id.
    segments: BTreeMap<PathBuf, Vec<(String, String)>>,
}

/// A directory in memory, where there is some: the disk that is spoken of is the recording.
fn home() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

impl Host {
    /// A host with five segments of long ago, which the agent will remove, and one that is written to.
    fn new() -> Self {
        let home = home();
        for directory in ["spool", "outbox", "recordings"] {
            fs::create_dir(home.path().join(directory)).unwrap();
        }
        let mut segments = BTreeMap::new();
        for hour in 0..6 {
            let year = if hour < 5 { 2020 } else { 2090 };
            let name = format!("{year}0101T{hour:02}Z.0190b7c2d4e5f6a7b8c9.jsonl");
            let lines = (0..60).map(|n| (format!("room-{}", n % 3), format!("evt_{hour}{n:03}")));
            segments.insert(home.path().join("spool").join(name), lines.collect());
        }
        Self { home, segments }
    }

    /// Lets an agent work, and records it.
    fn work(&self) -> Vec<Act> {
        let tools = tempfile::tempdir().unwrap();
        let (recorder, log) = (recorder(tools.path()), tools.path().join("log"));
        let sink = Sink::start(Held::default());
        let listener = free_address();
        let start = || {
            let mut command = agent(self.home.path(), &sink);
            command.env("REFLECTOR_AGENT__EVENT_SYNC__LISTEN", listener.to_string());
            command
                .env("LD_PRELOAD", &recorder)
                .env("RECORDER_ROOT", self.home.path())
                .env("RECORDER_LOG", &log);
            command.spawn().unwrap()
        };
        let (live, old) = self.segments.iter().next_back().zip(Some(self.segments.iter().take(5))).unwrap();
        let long_ago = SystemTime::now() - Duration::from_hours(48);
        for (path, lines) in old {
            let mut file = File::create(path).unwrap();
            for line in lines {
                write_line(&mut file, line);
            }
            file.set_modified(long_ago).unwrap();
        }
        let mut file = File::create(live.0).unwrap();
        let mut running = start();
        for (nth, line) in live.1.iter().enumerate() {
            write_line(&mut file, line);
            if nth == 20 {
                arrived(&sink, 300);
                running.kill().unwrap();
                running.wait().unwrap();
                running = start();
            }
            // One at a time for a while, then all at once.
            if (21..40).contains(&nth) {
                arrived(&sink, 301 + nth);
                post(listener, nth);
            }
        }
        arrived(&sink, 360);
        assert!(Command::new("kill").arg(running.id().to_string()).status().unwrap().success());
        assert!(running.wait().unwrap().success());
        acts(&fs::read(log).unwrap())
    }

    /// The host's disk before the agent began.
    fn disk(&self) -> Disk {
        let mut disk = Disk::default();
        for (path, lines) in &self.segments {
            let mut content = Vec::new();
            for line in lines {
                write_line(&mut content, line);
            }
            disk.put(path, content);
        }
        disk
    }

    /// What stood in the segments that the agent has removed.
    fn removed(&self, acts: &[Act]) -> BTreeSet<String> {
        let removed = acts
            .iter()
            .filter_map(|act| if let Act::Unlink(path) = act { self.segments.get(path) } else { None });
        removed.flatten().map(|(_, id)| id.clone()).collect()
    }

    /// A new agent works on what is left; the API holds no more than what was settled.
    fn go_on(&self, left: &Path, settled: &[String], what: &str) {
        let lines: Vec<&(String, String)> = self.segments.values().flatten().collect();
        let in_order = |wanted: &dyn Fn(&String) -> bool| {
            let mut held = Held::new();
            for (room, id) in lines.iter().filter(|(_, id)| wanted(id)) {
                held.entry(room.clone()).or_default().push(id.clone());
            }
            held
        };
        let sink = Sink::start(in_order(&|id| settled.contains(id)));
        for directory in ["spool", "outbox", "recordings"] {
            fs::create_dir_all(left.join(directory)).unwrap();
        }
        let mut running = agent(left, &sink).spawn().unwrap();
        arrived(&sink, lines.len());
        running.kill().unwrap();
        running.wait().unwrap();
        assert_eq!(from_spool(&sink), in_order(&|_| true), "{what}: every line, in the order of its room");
    }
}

/// Waits until so many lines of the spool have arrived.
fn arrived(sink: &Sink, count: usize) {
    eventually(&format!("{count} events to arrive"), || {
        (from_spool(sink).values().map(Vec::len).sum::<usize>() >= count).then_some(())
    });
}

/// What the API holds of the spool's rooms.
fn from_spool(sink: &Sink) -> Held {
    let mut held = sink.held();
    held.retain(|room, _| room.starts_with("room-"));
    held
}

/// An address on which nobody listens.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Posts an event as the stock module does, and waits for the acknowledgement.
fn post(listener: SocketAddr, nth: usize) {
    let body = format!(
        "{{\"event_name\":\"muc-room-created\",\"room_name\":\"posted-{nth}\",\
         \"room_jid\":\"posted-{nth}@conference.x\",\"is_breakout\":false,\"created_at\":{nth}}}"
    );
    let mut stream = eventually("the listener", || TcpStream::connect(listener).ok());
    write!(
        stream,
        "POST /events/room/created HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn write_line(to: &mut impl Write, (room, id): &(String, String)) {
    writeln!(to, "{{\"id\":\"{id}\",\"event\":\"e\",\"room\":\"{room}\",\"timestamp\":1}}").unwrap();
}

/// The program, with its files in `home`.
fn agent(home: &Path, sink: &Sink) -> Command {
    let roots = format!("[recordings]\nroots = [\"{}/recordings\"]\n", home.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_reflector-agent"));
    command
        .env_clear()
        .env("JITSI_WEBHOOK_SECRET", SECRET)
        .env("REFLECTOR_API_URL", format!("http://{}", sink.address))
        .arg("run")
        .arg("--config")
        .arg(config_file(home, &roots))
        .stderr(Stdio::null());
    command
}

/// Compiles the recorder.
fn recorder(directory: &Path) -> PathBuf {
    let (source, library) = (directory.join("recorder.c"), directory.join("recorder.so"));
    fs::write(&source, include_str!("recorder.c")).unwrap();
    let compiled = Command::new("gcc")
        .args(["-shared", "-fPIC", "-O1", "-pthread", "-o"])
        .args([&library, &source])
        .status()
        .expect("gcc is installed, as the README asks");
    assert!(compiled.success());
    library
}
