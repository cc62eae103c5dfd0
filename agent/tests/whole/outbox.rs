//! The outbox on a real disk.

use std::path::Path;
use std::time::Duration;

use agent::outbox::log::{Choice, DeliveryLog, Filter};
use agent::outbox::model::{Answer, Claimed, Kept, Kind, LaneId, Meeting, NewItem, State};
use agent::outbox::{DATABASE, Limits, Outbox, OutboxError, Reader, Signal};

use crate::support::{deliveries, eventually, item, progress};

const LIMITS: Limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };

fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|item| item.id.as_str()).collect()
}

/// The one lane that waits.
fn lane(directory: &Path) -> LaneId {
    let waiting = Reader::open(directory).unwrap().waiting().unwrap();
    assert_eq!(waiting.len(), 1);
    waiting[0].lane
}

fn settled(lane: LaneId, items: &[Claimed]) -> Answer {
    let settled = items.iter().map(|item| (item.seq, 3)).collect();
    Answer {
        lane,
        at: 1,
        status: Some(200),
        took_ms: 3,
        settled,
        parked: Vec::new(),
        kept: None,
        meeting: Meeting::Unchanged,
    }
}

#[test]
fn items_and_cursor_are_there_after_a_restart_and_an_id_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, _) = Outbox::open(directory.path(), LIMITS).unwrap();
    let outbox = writer.outbox();
    outbox.append(&[item("evt_1", "a"), item("evt_2", "a")], &progress(10)).unwrap();
    outbox.append(&[item("evt_2", "a"), item("evt_3", "a")], &progress(20)).unwrap();
    writer.close();

    let (writer, _) = Outbox::open(directory.path(), LIMITS).unwrap();
    let offsets: Vec<u64> = writer.outbox().cursors().unwrap().iter().map(|cursor| cursor.offset).collect();
    assert_eq!(offsets, [20, 10]);
    let reader = Reader::open(directory.path()).unwrap();
    let claimed = reader.claim(lane(directory.path()), 0, 10, 1 << 20).unwrap();
    assert_eq!(ids(&claimed), ["evt_1", "evt_2", "evt_3"]);
    writer.close();
}

#[test]
fn a_claim_is_bounded_and_a_recording_goes_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, _) = Outbox::open(directory.path(), LIMITS).unwrap();
    let recording = NewItem { kind: Kind::Recording, ..item("rec_1", "a") };
    let items = vec![item("evt_1", "a"), item("evt_2", "a"), recording, item("evt_3", "a")];
    writer.outbox().append(&items, &progress(1)).unwrap();
    let (reader, lane) = (Reader::open(directory.path()).unwrap(), lane(directory.path()));
    for (after, events, bytes, expected) in [
        (0, 10, 1 << 20, vec!["evt_1", "evt_2"]),
        (0, 1, 1 << 20, vec!["evt_1"]),
        (0, 10, 1, vec!["evt_1"]),
        (2, 10, 1 << 20, vec!["rec_1"]),
        (3, 10, 1 << 20, vec!["evt_3"]),
        (4, 10, 1 << 20, vec![]),
    ] {
        assert_eq!(
            ids(&reader.claim(lane, after, events, bytes).unwrap()),
            expected,
            "behind {after}, {events} events"
        );
    }
    writer.close();
}

#[test]
fn what_became_of_an_item_stands_in_the_delivery_log() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, _) = Outbox::open(directory.path(), LIMITS).unwrap();
    let outbox = writer.outbox();
    outbox.append(&[item("evt_1", "a"), item("evt_2", "a"), item("evt_3", "a")], &progress(1)).unwrap();
    let lane = lane(directory.path());
    let kept = Kept { first: 1, last: 3, due_at: 99, attempts: 1, note: "503 unavailable: try later".into() };
    let failed = Answer { status: Some(503), kept: Some(kept), ..settled(lane, &[]) };
    outbox.settle(failed);
    let claimed = Reader::open(directory.path()).unwrap().claim(lane, 0, 2, 1 << 20).unwrap();
    let mut answer = settled(lane, &claimed[..1]);
    answer.parked = vec![(claimed[1].seq, "event_invalid: no `room`".into())];
    outbox.settle(answer);
    writer.close();

    let log = DeliveryLog::open(directory.path()).unwrap();
    let (first, attempts) = log.show("evt_1").unwrap().unwrap();
    assert_eq!((first.state, first.status, first.attempts), (State::Settled, Some(200), 2));
    assert_eq!((attempts[0].status, attempts[0].note.as_str()), (Some(503), "503 unavailable: try later"));
    let (second, _) = log.show("evt_2").unwrap().unwrap();
    assert_eq!((second.state, second.note.as_deref()), (State::Parked, Some("event_invalid: no `room`")));
    let (third, _) = log.show("evt_3").unwrap().unwrap();
    assert_eq!((third.state, third.note.as_deref()), (State::Ready, Some("503 unavailable: try later")));
    let summary = log.summary(directory.path()).unwrap();
    assert_eq!((summary.running, summary.ready, summary.parked, summary.delivered), (Some(false), 1, 1, 1));
}

#[test]
fn an_operators_retry_reaches_the_running_agent() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, mut signals) = Outbox::open(directory.path(), LIMITS).unwrap();
    let parked = NewItem { parked: Some("refused".into()), ..item("evt_1", "a") };
    let unreadable = NewItem { kind: Kind::Unreadable, parked: Some("not JSON".into()), ..item("evt_2", "") };
    writer.outbox().append(&[parked, unreadable], &progress(1)).unwrap();
    let mut log = DeliveryLog::open(directory.path()).unwrap();
    assert_eq!(log.summary(directory.path()).unwrap().running, Some(true));
    assert_eq!(log.retry(&Choice::Ids(&["evt_1".into(), "evt_9".into()])).unwrap(), 1);
    assert_eq!(
        log.retry(&Choice::Matching(&Filter::default())).unwrap(),
        0,
        "there is nothing to send in an unreadable line"
    );
    eventually("the retry to be noticed", || {
        signals.try_recv().ok().filter(|signal| *signal == Signal::Changed)
    });
    let claimed =
        Reader::open(directory.path()).unwrap().claim(lane(directory.path()), 0, 10, 1 << 20).unwrap();
    assert_eq!(ids(&claimed), ["evt_1"]);
    writer.close();
}

#[test]
fn at_the_size_cap_sources_wait_and_settled_items_make_room() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { max_bytes: 1 << 20, ..LIMITS };
    let (writer, _) = Outbox::open(directory.path(), limits).unwrap();
    let outbox = writer.outbox();
    let big = |n: usize| NewItem { body: vec![b'x'; 100_000], ..item(&format!("evt_{n:03}"), "a") };
    let stored = (0..100).take_while(|n| outbox.append(&[big(*n)], &progress(1)).is_ok()).count();
    assert!((5..20).contains(&stored), "{stored} items of 100 kB fit into 1 MiB");
    assert!(matches!(outbox.append(&[big(stored)], &progress(1)), Err(OutboxError::Full(_))));
    assert_eq!(deliveries(directory.path()).len(), stored, "what was refused is not there");

    let lane = lane(directory.path());
    let claimed = Reader::open(directory.path()).unwrap().claim(lane, 0, 100, 1 << 30).unwrap();
    outbox.settle(settled(lane, &claimed));
    eventually("room in the outbox", || outbox.append(&[big(stored)], &progress(1)).ok());
    writer.close();
}

#[test]
fn two_agents_on_one_outbox_are_one_too_many() {
    let directory = tempfile::tempdir().unwrap();
    let (writer, _) = Outbox::open(directory.path(), LIMITS).unwrap();
    assert!(matches!(Outbox::open(directory.path(), LIMITS), Err(OutboxError::Locked)));
    writer.close();
    Outbox::open(directory.path(), LIMITS).unwrap().0.close();
}

#[test]
fn an_outbox_of_a_newer_release_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    Outbox::open(directory.path(), LIMITS).unwrap().0.close();
    let database = rusqlite::Connection::open(directory.path().join(DATABASE)).unwrap();
    database.pragma_update(None, "user_version", 1000).unwrap();
    database.close().unwrap();
    assert!(matches!(Outbox::open(directory.path(), LIMITS), Err(OutboxError::Newer { version: 1000, .. })));
}
