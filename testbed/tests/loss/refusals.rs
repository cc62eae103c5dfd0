//! Events that the API refuses for good: parked, one by one, while everything else goes on.

use std::collections::HashSet;

use contract::problem::ProblemCode;
use testbed::load::SpoolWriter;
use testbed::sink::{Faults, Refusal};
use testbed::wait::eventually;

use crate::stand::{DEADLINE, Stand};

const EVENTS: usize = 5_000;

#[test]
fn poison_events_answered_with_422_are_parked_and_delay_nobody() {
    poison_is_parked(None, None);
}

#[test]
fn poison_events_sent_alone_and_answered_with_422_are_parked_and_delay_nobody() {
    poison_is_parked(Some(1), None);
}

#[test]
fn poison_events_answered_with_400_are_parked_and_delay_nobody() {
    poison_is_parked(Some(1), Some(400));
}

#[test]
fn an_event_that_makes_the_api_fail_ends_up_alone_and_what_stands_before_it_arrives() {
    let mut stand = Stand::prepare(Some(32));
    let mut writer = stand.writer();
    writer.append(1_000).unwrap();
    let (room, ids) = writer.written().iter().next().map(|(room, ids)| (room.clone(), ids.clone())).unwrap();
    let bad = ids.len() / 2;
    stand.sink.set_faults(Faults { breaking: vec![ids[bad].clone()], ..Faults::default() });
    stand.agent.start().unwrap();
    stand.arrived(writer.count() - (ids.len() - bad));
    stand
        .sink
        .ledger(|ledger| assert_eq!(ledger.order(&room).len(), bad, "its own room waits for it, no other"));
    assert!(stand.agent.deliveries("parked").unwrap().is_empty());
    stand.sink.set_faults(Faults::default());
    stand.all_arrived(&writer, &HashSet::new());
}

#[test]
fn a_refusal_that_our_api_did_not_write_parks_nothing() {
    let stand = Stand::start(None);
    stand.sink.set_faults(Faults { refuse_all: Some(Refusal::proxy_page(422)), ..Faults::default() });
    let mut writer = stand.writer();
    writer.append(100).unwrap();
    stand.until("a try was refused", |ledger| ledger.requests() >= 1);
    assert!(stand.agent.deliveries("parked").unwrap().is_empty());
}

/// Five of the events are refused for good; the rest arrives, and the log names the five.
fn poison_is_parked(batch_max_events: Option<u32>, poison_status: Option<u16>) {
    let mut stand = Stand::prepare(batch_max_events);
    let mut writer = stand.writer();
    writer.append(EVENTS).unwrap();
    let poison = one_in_each_of_five_rooms(&writer);
    stand.sink.set_faults(Faults {
        poison: poison.iter().map(|id| (id.clone(), ProblemCode::EventInvalid)).collect(),
        poison_status,
        ..Faults::default()
    });
    stand.agent.start().unwrap();
    stand.all_arrived(&writer, &poison);
    let parked = || -> HashSet<String> {
        let items = stand.agent.deliveries("parked").unwrap();
        items.iter().filter_map(|item| item["id"].as_str()).map(str::to_owned).collect()
    };
    assert!(eventually(DEADLINE, || parked() == poison), "parked are {:?}, not {poison:?}", parked());
    for id in &poison {
        assert_eq!(stand.sink.ledger(|ledger| ledger.refusals_of(id)), 1, "tries of {id}");
    }
}

/// Five ids from the middle of five rooms.
fn one_in_each_of_five_rooms(writer: &SpoolWriter) -> HashSet<String> {
    let poison: HashSet<String> =
        writer.written().values().take(5).filter_map(|ids| ids.get(ids.len() / 2)).cloned().collect();
    assert_eq!(poison.len(), 5);
    poison
}
