//! The API is away, or answers that it cannot, or its answers get lost.

use std::collections::HashSet;

use contract::problem::ProblemCode;
use testbed::load::Plan;
use testbed::sink::{Faults, Ledger, LostAcknowledgements, Refusal};

use crate::stand::{Stand, written};

#[test]
fn an_outage_of_three_seconds_loses_nothing() {
    let stand = Stand::start(None);
    let paced = stand.write(Plan { rate: 2_000, total: 9_000, rotation: None });
    stand.arrived(1_500);
    stand.sink.close().unwrap();
    let at_close = stand.sink.ledger(Ledger::distinct);
    written(&paced, 7_500);
    assert_eq!(stand.sink.ledger(Ledger::distinct), at_close);
    stand.sink.open().unwrap();
    let writer = paced.finish().unwrap();
    stand.all_arrived(&writer, &HashSet::new());
    assert!(
        stand.sink.ledger(Ledger::duplicates) <= 4_000,
        "more was sent twice than can have been in flight"
    );
}

#[test]
fn lost_acknowledgements_cost_duplicates_of_the_same_id_and_nothing_else() {
    let stand = Stand::start(Some(1));
    let lost_acknowledgements = Some(LostAcknowledgements { percent: 5, seed: 42 });
    stand.sink.set_faults(Faults { lost_acknowledgements, ..Faults::default() });
    let writer = stand.write(Plan { rate: 2_000, total: 2_000, rotation: None }).finish().unwrap();
    stand.all_arrived(&writer, &HashSet::new());
    stand.until("an event whose answer was lost has come again", |ledger| ledger.duplicates() > 0);
}

#[test]
fn lost_acknowledgements_of_batches_lose_nothing() {
    let stand = Stand::start(None);
    let lost_acknowledgements = Some(LostAcknowledgements { percent: 20, seed: 42 });
    stand.sink.set_faults(Faults { lost_acknowledgements, ..Faults::default() });
    let writer = stand.write(Plan { rate: 2_000, total: 5_000, rotation: None }).finish().unwrap();
    stand.all_arrived(&writer, &HashSet::new());
    stand.until("a batch whose answer was lost has come again", |ledger| ledger.duplicates() > 0);
}

#[test]
fn a_503_holds_everything_back_without_a_storm_of_tries() {
    let stand = Stand::start(None);
    stand.sink.set_faults(Faults {
        refuse_all: Some(Refusal::problem(ProblemCode::Unavailable)),
        ..Faults::default()
    });
    let paced = stand.write(Plan { rate: 2_000, total: 5_000, rotation: None });
    stand.until("some tries were refused", |ledger| ledger.requests() >= 3);
    let writer = paced.finish().unwrap();
    let (arrived, tries) = stand.sink.ledger(|ledger| (ledger.distinct(), ledger.requests()));
    assert_eq!(arrived, 0);
    assert!(tries < 100, "{tries} tries against a server that said no each time");
    stand.sink.set_faults(Faults::default());
    stand.all_arrived(&writer, &HashSet::new());
    assert_eq!(stand.sink.ledger(Ledger::duplicates), 0);
}

#[test]
fn retry_after_is_waited_for() {
    let stand = Stand::start(None);
    let mut refusal = Refusal::problem(ProblemCode::Unavailable);
    refusal.retry_after_seconds = Some(2);
    stand.sink.set_faults(Faults { refuse_all: Some(refusal), ..Faults::default() });
    let mut writer = stand.writer();
    writer.append(100).unwrap();
    stand.until("a try was refused", |ledger| ledger.requests() >= 1);
    let refused = std::time::Instant::now();
    stand.sink.set_faults(Faults::default());
    stand.all_arrived(&writer, &HashSet::new());
    let waited = refused.elapsed();
    assert!(waited.as_millis() > 1_500, "came back after {waited:?}, was asked to wait 2 s");
}

#[test]
fn a_server_that_takes_no_batches_gets_single_events() {
    let stand = Stand::start(None);
    stand.sink.set_faults(Faults { refuse_ndjson: true, ..Faults::default() });
    let mut writer = stand.writer();
    writer.append(500).unwrap();
    stand.all_arrived(&writer, &HashSet::new());
    assert_eq!(stand.sink.ledger(Ledger::accepted_requests), 500);
}
