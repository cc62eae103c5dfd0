//! The module is loaded anew in the middle of a meeting.

use testbed::xmpp::RecordingStatus;

use crate::stage::{
    AUTOMATIC, SECOND, SESSION, SOON, Stage, moderator, participant, recording, room, seconds_between,
};

#[test]
fn a_rule_outlives_a_reload_and_is_carried_out_once() {
    let stage = Stage::new();
    let [early, asked, running, stopped] =
        ["early", "asked", "running", "stopped"].map(|name| stage.open(name));
    stage.enter("early", "alice", &moderator("u-1", SECOND));
    for (name, focus) in [("asked", &asked), ("running", &running), ("stopped", &stopped)] {
        stage.enter(name, "alice", &moderator("u-1", AUTOMATIC));
        let request = focus.start_request(SOON).unwrap();
        if name == "asked" {
            stage.prosody.reload_module().unwrap();
            focus.accept(&request, SESSION).unwrap();
            stage.wait_for("recording-start-accepted", 1);
        } else {
            focus.accept(&request, SESSION).unwrap();
            focus.announce(recording("on", "")).unwrap();
        }
    }
    stopped.announce(recording("off", &format!("{}/alice", room("stopped")))).unwrap();
    stage.prosody.reload_module().unwrap();
    stage.enter("early", "bob", &participant("u-2", SECOND));
    early.start_request(SOON).unwrap();
    stage.assert_quiet(&[&early, &asked, &running, &stopped]);
    assert!(stage.events("recording-start-refused").is_empty());
}

#[test]
fn a_pause_after_a_refusal_outlives_a_reload() {
    let stage = Stage::new();
    let daily = stage.open("daily");
    stage.enter("daily", "alice", &moderator("u-1", AUTOMATIC));
    let request = daily.start_request(SOON).unwrap();
    daily.accept(&request, SESSION).unwrap();
    stage.wait_for("recording-start-accepted", 1);
    daily.announce(RecordingStatus { failure_reason: "error", ..recording("off", "") }).unwrap();
    let refused = stage.wait_for("recording-start-refused", 1).remove(0);
    stage.prosody.reload_module().unwrap();
    let request = daily.start_request(SOON).unwrap();
    daily.accept(&request, "s-2").unwrap();
    let accepted = stage.wait_for("recording-start-accepted", 2).remove(1);
    assert!(seconds_between(&refused, &accepted) >= 5.0);
}

#[test]
fn a_module_that_comes_late_starts_what_is_due_and_leaves_what_was_recorded_alone() {
    let stage = Stage::new();
    stage.prosody.unload_module().unwrap();
    let [due, recorded, over] = ["due", "recorded", "over"].map(|name| stage.open(name));
    for name in ["due", "recorded", "over"] {
        stage.enter(name, "alice", &moderator("u-1", AUTOMATIC));
    }
    recorded.announce(recording("on", "")).unwrap();
    over.announce(recording("off", "")).unwrap();
    stage.prosody.load_module().unwrap();
    due.start_request(SOON).unwrap();
    stage.assert_quiet(&[&due, &recorded, &over]);
}
