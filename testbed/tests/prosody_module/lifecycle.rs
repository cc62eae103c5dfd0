//! Begin, reload and end of the module.

use std::collections::BTreeSet;
use std::fs;

use testbed::prosody::Clock;
use testbed::spool::{self, SpoolEvent};
use testbed::wait::eventually;
use testbed::xmpp::display_name;

use crate::scene::{SESSION, SOON, Scene, assert_ids_and_times, recording, room, story};

#[test]
fn a_line_is_readable_from_left_to_right() {
    let scene = Scene::new();
    let path = spool::segments(&scene.spool).unwrap().remove(0);
    let name = path.file_name().unwrap().to_str().unwrap();
    let first = scene.events().remove(0);
    let hour = first.timestamp[..13].replace('-', "");
    let boots: Vec<String> =
        spool::events(&scene.spool).unwrap().iter().map(|it| it.text("boot_id").to_owned()).collect();
    assert!(boots.iter().any(|boot| name == format!("{hour}Z.{boot}.jsonl")), "{name}");
    let text = fs::read_to_string(&path).unwrap();
    let places: Vec<usize> =
        ["{\"id\":\"evt_", ",\"event\":\"", ",\"room\":\"", ",\"timestamp\":\"", ",\"data\":{"]
            .map(|part| text.find(part).unwrap())
            .into();
    assert!(places.is_sorted() && places[0] == 0, "{text}");
}

#[test]
fn a_reload_in_the_middle_of_a_meeting_begins_a_boot_with_a_snapshot() {
    let scene = Scene::new();
    let (focus, alice) = (scene.focus(), scene.visitor());
    let standup = room("standup");
    focus.join(&standup, "focus", "").unwrap();
    alice.join(&standup, "aaaaaaaa", &display_name("Alice")).unwrap();
    focus.update(&standup, "focus", &recording("on", "")).unwrap();
    scene.wait_for("jibri-recording-on", 1);
    scene.prosody.reload_module().unwrap();
    scene.wait_for("source-started", 2);
    focus.update(&standup, "focus", &recording("on", "")).unwrap();
    focus.update(&standup, "focus", &recording("off", "")).unwrap();
    alice.update(&standup, "aaaaaaaa", &display_name("Alice L.")).unwrap();
    scene.wait_for("muc-occupant-updated", 1);
    let events = scene.events();
    assert_eq!(
        story(&events)[4..],
        [
            "conference.meet.test source-started".to_owned(),
            "standup muc-room-created snapshot".to_owned(),
            "standup muc-occupant-joined occupant_id=aaaaaaaa display_name=Alice kind=human role=participant snapshot".to_owned(),
            format!("standup jibri-recording-on session_id={SESSION} snapshot"),
            format!("standup jibri-recording-off session_id={SESSION}"),
            "standup muc-occupant-updated occupant_id=aaaaaaaa display_name=Alice L. kind=human role=participant".to_owned(),
        ]
    );
    assert_ids_and_times(&events[..4]);
    assert_ids_and_times(&events[4..]);
    assert!(events[0].text("boot_id") < events[4].text("boot_id"));
}

#[test]
fn a_room_that_cannot_be_told_costs_the_others_nothing() {
    let scene = Scene::new();
    let (focus, alice) = (scene.focus(), scene.visitor());
    for name in ["one", "two", "three"] {
        focus.join(&room(name), "focus", "").unwrap();
        alice.join(&room(name), "aaaaaaaa", "").unwrap();
        scene.prosody.break_room(&room(name)).unwrap();
    }
    scene.prosody.mend_room(&room("two")).unwrap();
    scene.prosody.reload_module().unwrap();
    scene.wait_for("source-started", 2);
    let told =
        |event: &&SpoolEvent| event.event == "muc-occupant-joined" && event.data.contains_key("snapshot");
    let events = scene.events();
    let rooms: Vec<_> = events.iter().filter(told).map(|event| event.room.as_str()).collect();
    assert_eq!(rooms, ["two"]);
}

#[test]
fn without_the_file_with_the_rules_everything_is_reported() {
    let mut scene = Scene::new();
    scene.lose_the_rules();
    let (focus, alice) = (scene.focus(), scene.visitor());
    focus.join(&room("daily"), "focus", "").unwrap();
    alice.join(&room("daily"), "aaaaaaaa", "").unwrap();
    scene.wait_for("muc-occupant-joined", 1);
    assert!(scene.prosody.log().unwrap().contains("recordings are not started by rule"));
}

#[test]
fn an_orderly_stop_tells_every_leave_and_a_kill_leaves_only_whole_lines() {
    let mut scene = Scene::new();
    let (focus, alice) = (scene.focus(), scene.visitor());
    let daily = room("daily");
    focus.join(&daily, "focus", "").unwrap();
    alice.join(&daily, "aaaaaaaa", "").unwrap();
    focus.update(&daily, "focus", &recording("on", "")).unwrap();
    scene.prosody.stop().unwrap();
    let told: BTreeSet<String> = story(&scene.events()).split_off(4).into_iter().collect();
    let expected = [
        "daily muc-occupant-left occupant_id=aaaaaaaa kind=human role=participant reason=connection_lost"
            .to_owned(),
        format!("daily jibri-recording-off session_id={SESSION} reason=room_destroyed"),
        "daily muc-room-destroyed".to_owned(),
    ];
    assert_eq!(told, BTreeSet::from(expected));

    scene.prosody.restart().unwrap();
    let (focus, alice) = (scene.focus(), scene.visitor());
    focus.join(&daily, "focus", "").unwrap();
    alice.join(&daily, "aaaaaaaa", "").unwrap();
    scene.wait_for("muc-occupant-joined", 2);
    scene.prosody.kill().unwrap();
    scene.prosody.restart().unwrap();
    scene.wait_for("source-started", 3);
    let events = scene.events();
    assert_eq!(
        story(&events)[7..],
        [
            "conference.meet.test source-started",
            "daily muc-room-created",
            "daily muc-occupant-joined occupant_id=aaaaaaaa kind=human role=participant",
            "conference.meet.test source-started",
        ]
    );
    for path in spool::segments(&scene.spool).unwrap() {
        assert!(fs::read(path).unwrap().ends_with(b"\n"));
    }
}

#[test]
fn a_segment_that_is_rotated_away_is_written_no_more() {
    let scene = Scene::new();
    let focus = scene.focus();
    focus.join(&room("one"), "focus", "").unwrap();
    for segment in spool::segments(&scene.spool).unwrap() {
        fs::rename(&segment, segment.with_extension("jsonl.1")).unwrap();
    }
    scene.prosody.reopen_logs().unwrap();
    focus.join(&room("two"), "focus", "").unwrap();
    let written = || spool::events(&scene.spool).unwrap();
    assert!(eventually(SOON, || !written().is_empty()));
    assert_eq!(story(&written()), ["two muc-room-created"]);
    assert_eq!(written()[0].data["seq"], 3);
}

#[test]
fn each_hour_gets_its_segment_and_the_clock_s_way_back_none() {
    let scene = Scene::with_clock(Clock::Movable);
    let focus = scene.focus();
    let hours = |seconds: u32| seconds / 3600;
    for ahead in [0, 3600, 2 * 3600, 3600] {
        scene.prosody.advance_clock(ahead).unwrap();
        focus.join(&room(&format!("after-{}", hours(ahead))), "focus", "").unwrap();
        focus.leave(&room(&format!("after-{}", hours(ahead))), "focus", "").unwrap();
    }
    scene.wait_for("muc-room-destroyed", 4);
    let events = scene.events();
    assert_ids_and_times(&events);
    let boot = events[0].text("boot_id");
    let segments: Vec<_> = spool::segments(&scene.spool)
        .unwrap()
        .into_iter()
        .filter(|path| path.to_str().unwrap().contains(boot))
        .collect();
    assert!(segments.len() >= 3, "{segments:?}");
    for segment in &segments {
        let name = segment.file_name().unwrap().to_str().unwrap();
        for line in fs::read_to_string(segment).unwrap().lines() {
            let event: spool::SpoolEvent = serde_json::from_str(line).unwrap();
            let hour = event.timestamp[..13].replace('-', "");
            assert_eq!(name, format!("{hour}Z.{boot}.jsonl"), "{line}");
        }
    }
}
