//! Files that are renamed, or copied and truncated, under the agent.

use std::collections::HashSet;

use testbed::load::{Plan, Rotation};
use testbed::sink::Ledger;

use crate::stand::{Stand, written};

#[test]
fn renaming_the_file_every_half_second_loses_nothing() {
    rotated(Plan { rate: 2_000, total: 8_000, rotation: Some((Rotation::Rename, 1_000)) });
}

#[test]
fn renaming_the_file_at_a_calm_rate_loses_nothing() {
    rotated(Plan { rate: 400, total: 1_600, rotation: Some((Rotation::Rename, 200)) });
}

#[test]
fn copying_and_truncating_the_file_every_half_second_loses_nothing() {
    rotated(Plan { rate: 2_000, total: 8_000, rotation: Some((Rotation::CopyTruncate, 1_000)) });
}

#[test]
fn copying_and_truncating_the_file_at_a_calm_rate_loses_nothing() {
    rotated(Plan { rate: 400, total: 1_600, rotation: Some((Rotation::CopyTruncate, 200)) });
}

/// Rotations follow each other faster than the agent looks, as they do on a host that has no time for it.
#[test]
fn renaming_the_file_as_fast_as_can_be_loses_nothing() {
    rotated(Plan { rate: 1_000_000, total: 8_000, rotation: Some((Rotation::Rename, 100)) });
}

#[test]
fn copying_and_truncating_the_file_as_fast_as_can_be_loses_nothing() {
    rotated(Plan { rate: 1_000_000, total: 8_000, rotation: Some((Rotation::CopyTruncate, 100)) });
}

#[test]
fn renaming_the_file_during_an_outage_loses_nothing() {
    let stand = Stand::start(None);
    let paced = stand.write(Plan { rate: 2_000, total: 9_000, rotation: Some((Rotation::Rename, 1_200)) });
    stand.arrived(500);
    stand.sink.close().unwrap();
    written(&paced, 7_500);
    stand.sink.open().unwrap();
    let writer = paced.finish().unwrap();
    stand.all_arrived(&writer, &HashSet::new());
}

#[test]
fn a_rename_while_the_agent_is_stopped_loses_nothing() {
    renamed_while_stopped(1);
}

#[test]
fn several_renames_while_the_agent_is_stopped_lose_nothing() {
    renamed_while_stopped(3);
}

fn rotated(plan: Plan) {
    let stand = Stand::start(None);
    let writer = stand.write(plan).finish().unwrap();
    let (_, every) = plan.rotation.unwrap();
    assert_eq!(writer.rotations(), plan.total / every - 1);
    stand.all_arrived(&writer, &HashSet::new());
    assert_eq!(stand.sink.ledger(Ledger::duplicates), 0);
}

fn renamed_while_stopped(times: usize) {
    let mut stand = Stand::start(None);
    let mut writer = stand.writer();
    writer.append(1_000).unwrap();
    stand.arrived(1_000);
    stand.agent.stop().unwrap();
    for _ in 0..times {
        writer.append(1_000).unwrap();
        writer.rotate(Rotation::Rename).unwrap();
    }
    writer.append(1_000).unwrap();
    stand.agent.start().unwrap();
    writer.append(1_000).unwrap();
    stand.all_arrived(&writer, &HashSet::new());
    assert_eq!(stand.sink.ledger(Ledger::duplicates), 0);
}
