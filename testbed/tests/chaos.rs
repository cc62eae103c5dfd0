//! Meetings in a loop while the agent, and at times the API and its Postgres, are killed at random moments, and while every second
//! request meets trouble of some kind: nothing is lost, nothing is doubled, and every room keeps its order.
//!
//! `CHAOS_KILLS` says how many kills of the agent (8 unless set), `CHAOS_SEED` repeats a run.
#![expect(clippy::unwrap_used, reason = "in a test the panic is the report")]
#![expect(
    clippy::print_stdout,
    reason = "cargo shows what a failed test has printed: the seed and the kills so far"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use testbed::agent::Agent;
use testbed::api::{self, Api};
use testbed::jibri::Jibri;
use testbed::meeting::{Invitation, Meeting};
use testbed::ports;
use testbed::prosody::Prosody;
use testbed::spool::{self, SpoolEvent};
use testbed::stack::Stack;
use testbed::trouble::{Kind, Trouble};
use testbed::wait::eventually;

/// How long everything may take to arrive once nothing is killed any more.
const SETTLE: Duration = Duration::from_mins(3);
/// The longest peace between two kills.
const PEACE: Duration = Duration::from_millis(2500);

/// A meeting as its owner and as somebody else is led into it.
type Invited = (api::Meeting, api::Meeting);

#[test]
fn kills_at_random_moments_lose_and_double_nothing() {
    let kills: u32 = variable("CHAOS_KILLS").unwrap_or(8);
    let seed = variable("CHAOS_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("CHAOS_KILLS={kills} CHAOS_SEED={seed}");
    let directory = tempfile::tempdir().unwrap();
    let port = ports::free().unwrap();
    let trouble = Trouble::start(port, seed).unwrap();
    let mut stack = Stack::start(directory.path(), port, Some(&trouble.url())).unwrap();
    // The meetings are created in peace: the subject is what happens in them.
    let meetings: Vec<Invited> = (0..3).map(|number| lead_in(&stack, number)).collect();

    let Stack { prosody, jibri, agent, api, .. } = &mut stack;
    let over = AtomicBool::new(false);
    let files = std::thread::scope(|scope| {
        let host = scope.spawn(|| hold_until(&over, prosody, jibri, &meetings));
        kill_at_random(agent, api, kills, seed);
        over.store(true, Ordering::SeqCst);
        host.join().unwrap()
    });
    trouble.end();
    // The last kill ends the waits of a minute that some of the troubles ask for.
    stack.agent.process().kill().unwrap();
    let met = Kind::TROUBLES.map(|kind| (kind, trouble.count(kind)));
    println!("of the requests {} were met fairly, others with {met:?}", trouble.count(Kind::Fair));
    // With few kills there are few requests.
    assert!(kills < 50 || met.iter().all(|(_, count)| *count > 0), "seed {seed}: {met:?}");

    let written: Vec<SpoolEvent> = spool::events(&stack.spool())
        .unwrap()
        .into_iter()
        .filter(|event| meetings.iter().any(|(alice, _)| alice.room_name == event.room))
        .collect();
    println!("{files} meetings wrote {} events", written.len());
    let expected = written.len() + files;
    assert!(
        eventually(SETTLE, || settled(&mut stack) >= expected),
        "seed {seed}: not all {expected} arrived"
    );
    assert_same(&written, &stored(&stack.api), files, seed);
}

fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

fn lead_in(stack: &Stack, number: usize) -> Invited {
    let room = format!("chaos-{number}");
    stack.client.ensure_room(&room).unwrap();
    let alice = stack.client.create_meeting(&room).unwrap();
    let bob = stack.api.client("bob").unwrap().create_meeting(&room).unwrap();
    (alice, bob)
}

/// Holds one meeting after the other, each with a recording; returns how many.
fn hold_until(over: &AtomicBool, prosody: &Prosody, jibri: &Jibri, meetings: &[Invited]) -> usize {
    let mut held = 0;
    while !over.load(Ordering::SeqCst) {
        let (alice, bob) = &meetings[held % meetings.len()];
        let invitation = Invitation {
            room: &alice.room_name,
            alice: &alice.host_room_url,
            bob: &bob.room_url,
            session_id: &format!("session-{held}"),
        };
        let meeting = Meeting::begin(prosody, jibri, invitation, &mut |_| Ok(())).unwrap();
        meeting.record(5_000).unwrap();
        meeting.end(&mut |_| Ok(())).unwrap().unwrap();
        held += 1;
    }
    held
}

/// Kills the agent again and again, and sometimes one of the others; what has ended is started again, as a service manager
/// would.
fn kill_at_random(agent: &mut Agent, api: &mut Api, kills: u32, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    for kill in 1..=kills {
        let end_of_peace = Instant::now() + PEACE.mul_f64(random.f64());
        eventually(PEACE, || {
            agent.revive().unwrap();
            api.revive().unwrap();
            Instant::now() >= end_of_peace
        });
        println!("kill {kill} of {kills}");
        agent.process().kill().unwrap();
        match random.u8(..8) {
            0 => api.process().kill().unwrap(),
            // After an earlier kill it may have to come up first.
            1 => assert!(eventually(SETTLE, || api.revive().is_ok() && api.kill_postgres().is_ok())),
            _ => {}
        }
    }
}

/// How many events Postgres has, once everything runs.
fn settled(stack: &mut Stack) -> usize {
    stack.agent.revive().unwrap();
    stack.api.revive().unwrap();
    let count = stack.api.sql("SELECT count(*) FROM reflector.meeting_event");
    count.map_or(0, |count| count.trim().parse().unwrap())
}

/// Room and id of every stored event, in the order of storing.
fn stored(api: &Api) -> Vec<(String, String)> {
    let rows = api
        .sql(
            "SELECT m.room_name, e.id FROM reflector.meeting_event e
             JOIN reflector.meeting m ON m.id = e.meeting_id ORDER BY e.position",
        )
        .unwrap();
    rows.lines()
        .map(|row| row.split_once('|').unwrap())
        .map(|(room, id)| (room.to_owned(), id.to_owned()))
        .collect()
}

fn assert_same(written: &[SpoolEvent], stored: &[(String, String)], files: usize, seed: u64) {
    let mut expected: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in written {
        expected.entry(&event.room).or_default().push(&event.id);
    }
    let mut actual: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut notices = BTreeSet::new();
    for (room, id) in stored {
        if id.starts_with("rec_") {
            assert!(notices.insert(id), "seed {seed}: {id} is stored twice");
        } else {
            actual.entry(room).or_default().push(id);
        }
    }
    assert_eq!(actual, expected, "seed {seed}: the events of each room, in order");
    assert_eq!(notices.len(), files, "seed {seed}: one notice for each finished file");
}
