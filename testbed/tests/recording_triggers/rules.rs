//! When a recording is asked for, and in whose name.

use serde_json::{Value, json};
use testbed::focus::Focus;
use testbed::prosody::{BREAKOUT, RECORDER_DOMAIN};
use testbed::xmpp::display_name;

use crate::stage::{AUTOMATIC, SECOND, SOON, Stage, asked_by, moderator, participant, recording, room};

#[test]
fn each_trigger_starts_what_it_says_and_rooms_are_independent() {
    let stage = Stage::new();
    let names = ["none", "prompt", "automatic", "automatic-2nd-participant", "tomorrow"];
    let rooms: Vec<Focus> = names.map(|name| stage.open(name)).into();
    for name in names {
        stage.enter(name, "alice", &moderator("u-1", name));
    }
    assert_eq!(asked_by(&rooms[2].start_request(SOON).unwrap()), "alice");
    stage.assert_quiet(&[&rooms[0], &rooms[1], &rooms[2], &rooms[3], &rooms[4]]);
    for name in names {
        stage.enter(name, "bob", &participant("u-2", name));
    }
    assert_eq!(asked_by(&rooms[3].start_request(SOON).unwrap()), "alice");
    stage.assert_quiet(&[&rooms[0], &rooms[1], &rooms[2], &rooms[3], &rooms[4]]);
}

#[test]
fn what_is_not_recorded_or_not_understood_starts_nothing() {
    let stage = Stage::new();
    let with = |member: &str, value: Value| {
        let mut context = moderator("u-1", AUTOMATIC);
        *context.pointer_mut(member).unwrap() = value;
        context
    };
    let contexts = [
        json!({}),
        json!({ "user": "alice", "features": "all", "room": "daily" }),
        with("/room", Value::Null),
        with("/room", json!(["automatic"])),
        with("/room/recording_type", json!("none")),
        with("/room/recording_type", Value::Null),
        with("/room/recording_type", json!(true)),
        with("/room/recording_trigger", Value::Null),
        with("/room/recording_trigger", json!({ "automatic": 1 })),
        with("/room/recording_trigger", json!(["automatic"])),
        with("/room/recording_trigger", json!(2)),
        with("/features", Value::Null),
        with("/features", json!(["recording"])),
        with("/features/recording", json!("false")),
        with("/features/recording", json!(1)),
        with("/user/id", json!({ "id": 1 })),
    ];
    let rooms: Vec<Focus> = (0..contexts.len()).map(|number| stage.open(&format!("r-{number}"))).collect();
    for (number, context) in contexts.iter().enumerate().rev().skip(1) {
        stage.enter(&format!("r-{number}"), "alice", context);
    }
    stage.assert_quiet(&rooms.iter().collect::<Vec<_>>());
    // A user id that is no text names nobody in particular, and the rest of the token holds.
    let last = contexts.len() - 1;
    stage.enter(&format!("r-{last}"), "alice", &contexts[last]);
    rooms[last].start_request(SOON).unwrap();
    for (value, kind) in [(json!("true"), "cloud"), (json!(true), "local")] {
        let mut context = with("/features/recording", value);
        context["room"]["recording_type"] = json!(kind);
        let focus = stage.open(kind);
        stage.enter(kind, "alice", &context);
        focus.start_request(SOON).unwrap();
    }
    let log = stage.prosody.log().unwrap();
    assert!(!log.contains("was not reported") && !log.contains("was not started"), "{log}");
}

#[test]
fn two_people_are_two_humans_or_telephones_and_no_machine() {
    let stage = Stage::new();
    let [daily, twice, called] = ["daily", "twice", "called"].map(|name| stage.open(name));
    stage.enter_as_service("daily", RECORDER_DOMAIN, "recorder");
    stage.enter_as_service("daily", RECORDER_DOMAIN, "transcriber");
    for name in ["daily", "twice", "called"] {
        stage.enter(name, "alice", &moderator("u-1", SECOND));
    }
    stage.enter("twice", "again", &participant("u-1", SECOND));
    stage.assert_quiet(&[&daily, &twice, &called]);
    stage.enter_as_guest("daily", "bob", &display_name("Bob"));
    stage.enter_as_guest("called", "caller", "<initiator xmlns='http://jitsi.org/protocol/jigasi'/>");
    stage.enter("twice", "bob", &participant("u-2", SECOND));
    for focus in [&daily, &twice, &called] {
        assert!(["alice", "again"].contains(&asked_by(&focus.start_request(SOON).unwrap())));
    }
}

#[test]
fn the_second_person_must_be_there_at_the_same_time_as_the_first() {
    let stage = Stage::new();
    let daily = stage.open("daily");
    let bob = stage.connect("daily", "bob", &participant("u-2", SECOND));
    bob.join(&room("daily"), "bob", "").unwrap();
    bob.leave(&room("daily"), "bob", "").unwrap();
    stage.enter("daily", "alice", &moderator("u-1", SECOND));
    stage.assert_quiet(&[&daily]);
    bob.join(&room("daily"), "bob", "").unwrap();
    daily.start_request(SOON).unwrap();
}

#[test]
fn a_recording_waits_for_somebody_who_may_start_it() {
    let stage = Stage::new();
    let [daily, later] = ["daily", "later"].map(|name| stage.open(name));
    stage.enter("daily", "bob", &participant("u-2", AUTOMATIC));
    stage.enter_as_guest("daily", "carol", "");
    // A moderator without the feature, and the feature without the role.
    let mut powerless = moderator("u-3", AUTOMATIC);
    powerless["features"]["recording"] = json!(false);
    stage.enter("daily", "dave", &powerless);
    let mut eager = participant("u-4", AUTOMATIC);
    eager["features"]["recording"] = json!(true);
    let eve = stage.connect("later", "eve", &eager);
    eve.join(&room("later"), "eve", "").unwrap();
    stage.assert_quiet(&[&daily, &later]);

    stage.enter("daily", "alice", &moderator("u-1", AUTOMATIC));
    assert_eq!(asked_by(&daily.start_request(SOON).unwrap()), "alice");
    later.client().affiliate(&room("later"), eve.jid().split('/').next().unwrap(), "owner").unwrap();
    assert_eq!(asked_by(&later.start_request(SOON).unwrap()), "eve");
}

#[test]
fn what_a_person_has_stopped_stays_stopped() {
    let stage = Stage::new();
    let [daily, by_hand, at_once] = ["daily", "by-hand", "at-once"].map(|name| stage.open(name));
    let alice = |name: &str| format!("{}/alice", room(name));
    stage.enter("daily", "alice", &moderator("u-1", AUTOMATIC));
    let request = daily.start_request(SOON).unwrap();
    daily.accept(&request, "s-1").unwrap();
    for status in ["on", "off"] {
        daily.announce(recording(status, &alice("daily"))).unwrap();
    }
    // Started and stopped by hand before the rule was met.
    stage.enter("by-hand", "alice", &moderator("u-1", SECOND));
    for status in ["on", "off"] {
        by_hand.announce(recording(status, &alice("by-hand"))).unwrap();
    }
    // Accepted, and stopped before the recorder was there.
    stage.enter("at-once", "alice", &moderator("u-1", AUTOMATIC));
    let request = at_once.start_request(SOON).unwrap();
    at_once.accept(&request, crate::stage::SESSION).unwrap();
    at_once.announce(recording("off", &alice("at-once"))).unwrap();
    for name in ["daily", "by-hand", "at-once"] {
        stage.enter(name, "bob", &moderator("u-2", AUTOMATIC));
    }
    stage.assert_quiet(&[&daily, &by_hand, &at_once]);
    assert!(stage.events("recording-start-refused").is_empty());
}

#[test]
fn a_meeting_that_begins_anew_is_recorded_anew() {
    let stage = Stage::new();
    for _ in 0..2 {
        let daily = stage.open("daily");
        let alice = stage.connect("daily", "alice", &moderator("u-1", AUTOMATIC));
        alice.join(&room("daily"), "alice", "").unwrap();
        daily.start_request(SOON).unwrap();
        daily.announce(recording("on", "")).unwrap();
        alice.leave(&room("daily"), "alice", "").unwrap();
        daily.leave().unwrap();
    }
}

#[test]
fn breakout_rooms_start_nothing() {
    let stage = Stage::new();
    let daily = stage.open("daily");
    let group = format!("6a7d1c3b@{BREAKOUT}");
    stage.prosody.open_breakout(&room("daily"), &group).unwrap();
    let breakout = Focus::open(&stage.prosody, &group).unwrap();
    let alice = stage.connect("6a7d1c3b", "alice", &moderator("u-1", AUTOMATIC));
    alice.join(&group, "alice", "").unwrap();
    breakout.client().affiliate(&group, alice.jid().split('/').next().unwrap(), "owner").unwrap();
    stage.assert_quiet(&[&daily, &breakout]);
}
