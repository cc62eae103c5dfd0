//! SIGKILL in the middle of delivery.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use testbed::load::Plan;
use testbed::sink::Ledger;

use crate::stand::{Stand, written};

#[test]
fn two_kills_during_delivery_lose_nothing() {
    let mut stand = Stand::start(None);
    let paced = stand.write(Plan { rate: 2_000, total: 8_000, rotation: None });
    for arrived in [1_000, 4_000] {
        stand.arrived(arrived);
        stand.agent.kill().unwrap();
        written(&paced, paced.written() + 1_000);
        stand.agent.start().unwrap();
    }
    let writer = paced.finish().unwrap();
    stand.all_arrived(&writer, &HashSet::new());
}

#[test]
fn kills_while_one_event_at_a_time_is_delivered_lose_nothing() {
    let mut stand = Stand::start(Some(1));
    let mut writer = stand.writer();
    writer.append(6_000).unwrap();
    for arrived in [500, 2_000, 3_500] {
        stand.arrived(arrived);
        stand.agent.kill().unwrap();
        stand.agent.start().unwrap();
    }
    stand.all_arrived(&writer, &HashSet::new());
}

#[test]
fn a_kill_during_an_outage_loses_nothing() {
    let mut stand = Stand::start(None);
    let paced = stand.write(Plan { rate: 2_000, total: 9_000, rotation: None });
    stand.arrived(1_500);
    stand.sink.close().unwrap();
    written(&paced, 4_000);
    stand.agent.kill().unwrap();
    written(&paced, 5_500);
    stand.agent.start().unwrap();
    written(&paced, 7_500);
    stand.sink.open().unwrap();
    let writer = paced.finish().unwrap();
    stand.all_arrived(&writer, &HashSet::new());
}

#[test]
fn a_stop_in_the_middle_of_a_backlog_is_prompt_and_loses_nothing() {
    let mut stand = Stand::start(None);
    let mut writer = stand.writer();
    writer.append(60_000).unwrap();
    stand.arrived(1_000);
    let told = Instant::now();
    stand.agent.stop().unwrap();
    assert!(told.elapsed() < Duration::from_secs(12), "it took {:?}", told.elapsed());
    assert!(stand.sink.ledger(Ledger::distinct) < 60_000, "the stop was to come in the middle");
    stand.agent.start().unwrap();
    stand.all_arrived(&writer, &HashSet::new());
}
