//! What focus answers, and what becomes of it.

use std::time::Duration;

use serde_json::Value;
use testbed::focus::Refusal;
use testbed::xmpp::RecordingStatus;

use crate::stage::{
    AUTOMATIC, SECOND, SESSION, SOON, Stage, asked_by, moderator, participant, recording, room,
    seconds_between,
};

#[test]
fn a_refusal_is_told_and_asked_again_until_focus_accepts() {
    let stage = Stage::new();
    let daily = stage.open("daily");
    let alice = stage.connect("daily", "alice", &moderator("u-1", SECOND));
    alice.join(&room("daily"), "alice", "").unwrap();
    stage.enter("daily", "bob", &participant("u-2", SECOND));
    let request = daily.start_request(SOON).unwrap();
    daily.refuse(&request, Refusal::Busy).unwrap();
    let refused = stage.wait_for("recording-start-refused", 1).remove(0);
    assert_eq!(refused.room, "daily");
    for (member, expected) in [
        ("condition", "resource-constraint"),
        ("reason_text", "all Jibris are busy"),
        ("trigger", "automatic-2nd-participant"),
        ("initiator", "alice"),
    ] {
        assert_eq!(refused.text(member), expected, "{member}");
    }
    assert_eq!((&refused.data["attempt"], &refused.data["retry_in_seconds"]), (&1.into(), &5.into()));
    let log = stage.prosody.log().unwrap();
    assert!(
        log.contains("did not start: resource-constraint (all Jibris are busy); asking again in 5 s"),
        "{log}"
    );

    // Who comes in meanwhile does not shorten the pause.
    stage.enter("daily", "carol", &moderator("u-3", SECOND));
    let request = daily.start_request(SOON).unwrap();
    daily.accept(&request, SESSION).unwrap();
    let accepted = stage.wait_for("recording-start-accepted", 1).remove(0);
    assert_eq!((accepted.text("session_id"), &accepted.data["attempt"]), (SESSION, &2.into()));
    assert_eq!(accepted.text("initiator"), asked_by(&request));
    assert!(seconds_between(&refused, &accepted) >= 5.0);
    // The answers were for the module, and not for the person in whose name it asked.
    alice.update(&room("daily"), "alice", "").unwrap();
    assert!(alice.next_request(Duration::ZERO).is_err());
    assert_eq!(stage.events("recording-start-refused").len(), 1);
}

#[test]
fn a_start_that_focus_accepts_and_no_recorder_carries_out_is_asked_for_again() {
    let stage = Stage::new();
    let [daily, streamed] = ["daily", "streamed"].map(|name| stage.open(name));
    stage.enter("daily", "alice", &moderator("u-1", AUTOMATIC));
    let request = daily.start_request(SOON).unwrap();
    daily.accept(&request, SESSION).unwrap();
    let failed = RecordingStatus { failure_reason: "error", ..recording("off", "") };
    let of_another = RecordingStatus { session_id: "s-0", failure_reason: "busy", ..failed };
    daily.announce(of_another).unwrap();
    daily.announce(failed).unwrap();
    // Focus repeats it in each later presence.
    daily.announce(failed).unwrap();
    // A stream is no recording.
    let stream = recording("on", "").xml().replace("recording_mode='file'", "recording_mode='stream'");
    streamed.client().update(&room("streamed"), "focus", &stream).unwrap();
    stage.enter("streamed", "alice", &moderator("u-1", AUTOMATIC));
    streamed.start_request(SOON).unwrap();

    let refused = stage.wait_for("recording-start-refused", 1);
    assert_eq!((refused[0].text("condition"), refused[0].text("reason_text")), ("recording-failed", "error"));
    let request = daily.start_request(SOON).unwrap();
    daily.accept(&request, "s-2").unwrap();
    daily.announce(recording("on", "")).unwrap();
    assert_eq!(stage.wait_for("recording-start-accepted", 2).len(), 2);
    assert_eq!(stage.events("recording-start-refused").len(), 1);
}

#[test]
fn a_recording_that_somebody_has_started_meanwhile_ends_the_asking() {
    let stage = Stage::new();
    let daily = stage.open("daily");
    stage.enter("daily", "alice", &moderator("u-1", AUTOMATIC));
    let request = daily.start_request(SOON).unwrap();
    daily.refuse(&request, Refusal::Busy).unwrap();
    daily.announce(recording("on", "")).unwrap();
    stage.wait_for("recording-start-refused", 1);
    // The pause of the other room begins later and is as long.
    let other = stage.open("other");
    stage.enter("other", "alice", &moderator("u-1", AUTOMATIC));
    let request = other.start_request(SOON).unwrap();
    other.refuse(&request, Refusal::Busy).unwrap();
    other.start_request(SOON).unwrap();
    stage.assert_quiet(&[&daily, &other]);
}

#[test]
fn focus_is_asked_with_longer_and_longer_pauses_and_only_as_long_as_that_may_help() {
    let stage = Stage::at_pace(20);
    let [busy, strict] = ["busy", "strict"].map(|name| stage.open(name));
    for name in ["busy", "strict"] {
        stage.enter(name, "alice", &moderator("u-1", AUTOMATIC));
    }
    for _ in 0..5 {
        strict.refuse(&strict.start_request(SOON).unwrap(), Refusal::NotAllowed).unwrap();
        busy.refuse(&busy.start_request(SOON).unwrap(), Refusal::Busy).unwrap();
    }
    let refused = stage.wait_for("recording-start-refused", 10);
    stage.assert_quiet(&[&strict]);
    let pauses = |room: &str| -> Vec<Option<u64>> {
        let of_room = refused.iter().filter(|event| event.room == room);
        of_room.map(|event| event.data.get("retry_in_seconds").and_then(Value::as_u64)).collect()
    };
    assert_eq!(pauses("busy"), [Some(5), Some(10), Some(20), Some(40), Some(80)]);
    assert_eq!(pauses("strict"), [Some(5), Some(10), Some(20), Some(40), None]);
    let log = stage.prosody.log().unwrap();
    assert!(log.contains("did not start: not-allowed; not asking again"), "{log}");
}

#[test]
fn an_answer_that_does_not_come_is_not_waited_for_for_ever() {
    let stage = Stage::at_pace(20);
    let daily = stage.open("daily");
    stage.enter("daily", "alice", &moderator("u-1", AUTOMATIC));
    let unanswered = daily.start_request(SOON).unwrap();
    let refused = stage.wait_for("recording-start-refused", 1).remove(0);
    assert_eq!(refused.text("condition"), "no-answer");
    let request = daily.start_request(SOON).unwrap();
    daily.accept(&unanswered, "too-late").unwrap();
    daily.accept(&request, SESSION).unwrap();
    let accepted = stage.wait_for("recording-start-accepted", 1);
    assert_eq!((accepted.len(), accepted[0].text("session_id")), (1, SESSION));
}

#[test]
fn nobody_but_focus_can_answer() {
    let stage = Stage::new();
    let daily = stage.open("daily");
    stage.enter("daily", "alice", &moderator("u-1", AUTOMATIC));
    let mallory = stage.connect("daily", "mallory", &participant("u-2", AUTOMATIC));
    mallory.join(&room("daily"), "mallory", "").unwrap();
    let request = daily.start_request(SOON).unwrap();
    for (kind, payload) in [("error", "<error type='modify'/>"), ("result", "<jibri session_id='forged'/>")] {
        mallory.answer(&request.iq, kind, payload).unwrap();
    }
    // The answers have arrived when the room has sent a later presence back.
    mallory.update(&room("daily"), "mallory", "").unwrap();
    daily.accept(&request, SESSION).unwrap();
    let accepted = stage.wait_for("recording-start-accepted", 1);
    assert_eq!((accepted.len(), accepted[0].text("session_id")), (1, SESSION));
    assert!(stage.events("recording-start-refused").is_empty());
}
