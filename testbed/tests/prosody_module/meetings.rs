//! What people and focus do in rooms, and what the module tells of it.

use testbed::prosody::{BREAKOUT, RECORDER_DOMAIN};
use testbed::spool;
use testbed::wait::eventually;
use testbed::xmpp::{RecordingStatus, display_name, escaped};

use crate::scene::{SESSION, SOON, Scene, assert_ids_and_times, recording, room, story};

/// A presence extension of Jibri's page in the room.
fn recorder_page() -> String {
    format!(
        "<features><feature var='http://jitsi.org/protocol/jibri'/></features><session_id>{SESSION}</session_id><mode>file</mode>"
    )
}

#[test]
fn a_whole_meeting_is_told_as_it_happened() {
    let scene = Scene::new();
    let standup = room("standup");
    let [alice, bob, carol] = [scene.visitor(), scene.visitor(), scene.visitor()];
    let refusal = alice.join(&standup, "aaaaaaaa", "").unwrap_err();
    assert!(refusal.to_string().contains("not-allowed"), "{refusal}");

    let focus = scene.focus();
    focus.join(&standup, "focus", "").unwrap();
    alice.join(&standup, "aaaaaaaa", &display_name("Alice")).unwrap();
    alice.update(&standup, "aaaaaaaa", &display_name("Alice")).unwrap();
    alice.update(&standup, "aaaaaaaa", &display_name("Alice Liddell")).unwrap();
    bob.join(&standup, "bbbbbbbb", &display_name("Bob")).unwrap();
    carol.join(&standup, "cccccccc", &display_name("Carol")).unwrap();
    let alice_user = alice.jid().split('/').next().unwrap();
    focus.affiliate(&standup, alice_user, "owner").unwrap();

    let recorder = scene.account(RECORDER_DOMAIN, "recorder");
    recorder.join(&standup, "dddddddd", &recorder_page()).unwrap();
    let on = recording("on", &format!("{standup}/aaaaaaaa"));
    focus.update(&standup, "focus", &on).unwrap();
    focus.update(&standup, "focus", &on).unwrap();
    bob.update(&standup, "bbbbbbbb", &(display_name("Bob") + &recording("off", ""))).unwrap();
    focus.update(&standup, "focus", &(on.clone() + "<other xmlns='urn:x'/>")).unwrap();
    focus.update(&standup, "focus", &recording("off", &format!("{standup}/bbbbbbbb"))).unwrap();
    recorder.leave(&standup, "dddddddd", "").unwrap();
    focus.kick(&standup, "bbbbbbbb", "noise").unwrap();
    carol.cut().unwrap();
    scene.wait_for("muc-occupant-left", 3);
    alice.leave(&standup, "aaaaaaaa", "").unwrap();
    focus.leave(&standup, "focus", "").unwrap();
    scene.wait_for("muc-room-destroyed", 1);

    let events = scene.events();
    assert_eq!(
        story(&events),
        [
            "conference.meet.test source-started",
            "standup muc-room-created",
            "standup muc-occupant-joined occupant_id=aaaaaaaa display_name=Alice kind=human role=participant",
            "standup muc-occupant-updated occupant_id=aaaaaaaa display_name=Alice Liddell kind=human role=participant",
            "standup muc-occupant-joined occupant_id=bbbbbbbb display_name=Bob kind=human role=participant",
            "standup muc-occupant-joined occupant_id=cccccccc display_name=Carol kind=human role=participant",
            "standup muc-occupant-updated occupant_id=aaaaaaaa display_name=Alice Liddell kind=human role=moderator",
            "standup muc-occupant-joined occupant_id=dddddddd kind=recorder role=participant",
            &format!("standup jibri-recording-on session_id={SESSION} initiator_name=Alice Liddell"),
            &format!("standup jibri-recording-off session_id={SESSION} initiator_name=Bob"),
            "standup muc-occupant-left occupant_id=dddddddd kind=recorder role=participant reason=left",
            "standup muc-occupant-left occupant_id=bbbbbbbb display_name=Bob kind=human role=participant reason=kicked actor=focus",
            "standup muc-occupant-left occupant_id=cccccccc display_name=Carol kind=human role=participant reason=connection_lost",
            "standup muc-occupant-left occupant_id=aaaaaaaa display_name=Alice Liddell kind=human role=moderator reason=left",
            "standup muc-room-destroyed",
        ]
    );
    let kicked = events.iter().find(|event| event.text("reason") == "kicked").unwrap();
    assert_eq!(kicked.text("reason_text"), "noise");
    let promoted = events.iter().filter(|event| event.event == "muc-occupant-updated").nth(1).unwrap();
    assert_eq!(promoted.data["changed"], serde_json::json!(["role", "affiliation"]));
    assert_ids_and_times(&events);
}

#[test]
fn destroying_a_room_ends_its_recording_and_everybody_in_it() {
    let scene = Scene::new();
    let (focus, alice) = (scene.focus(), scene.visitor());
    let retro = room("retro");
    focus.join(&retro, "focus", "").unwrap();
    alice.join(&retro, "aaaaaaaa", "").unwrap();
    focus.update(&retro, "focus", &recording("on", "")).unwrap();
    focus.destroy(&retro, "time is up").unwrap();
    scene.wait_for("muc-room-destroyed", 1);
    assert_eq!(
        story(&scene.events())[3..],
        [
            format!("retro jibri-recording-on session_id={SESSION}"),
            "retro muc-occupant-left occupant_id=aaaaaaaa kind=human role=participant reason=room_destroyed"
                .to_owned(),
            format!("retro jibri-recording-off session_id={SESSION} reason=room_destroyed"),
            "retro muc-room-destroyed".to_owned(),
        ]
    );
}

#[test]
fn recordings_that_fail_or_fail_over_are_told_once() {
    let scene = Scene::new();
    let focus = scene.focus();
    let demo = room("demo");
    focus.join(&demo, "focus", "").unwrap();
    let failed = RecordingStatus {
        status: "off",
        session_id: "s-1",
        failure_reason: "error",
        ..RecordingStatus::default()
    };
    focus.update(&demo, "focus", &failed.xml()).unwrap();
    for status in ["pending", "on", "on"] {
        focus.update(&demo, "focus", &recording(status, "")).unwrap();
    }
    focus.leave(&demo, "focus", "").unwrap();
    scene.wait_for("muc-room-destroyed", 1);
    assert_eq!(
        story(&scene.events())[2..],
        [
            "demo jibri-recording-off session_id=s-1 failure_reason=error".to_owned(),
            format!("demo jibri-recording-on session_id={SESSION}"),
            format!("demo jibri-recording-off session_id={SESSION} reason=room_destroyed"),
            "demo muc-room-destroyed".to_owned(),
        ]
    );
}

#[test]
fn health_checks_and_tenants_are_told_apart_from_rooms() {
    let scene = Scene::new();
    let focus = scene.focus();
    for name in ["__jicofo-health-check-1", "[acme]Planning"] {
        focus.join(&room(name), "focus", "").unwrap();
        focus.leave(&room(&name.to_lowercase()), "focus", "").unwrap();
    }
    scene.wait_for("muc-room-destroyed", 1);
    let events = scene.events();
    assert_eq!(story(&events)[1..], ["planning muc-room-created", "planning muc-room-destroyed"]);
    assert_eq!(events[1].text("tenant"), "acme");
}

#[test]
fn reasons_tell_bans_and_breakouts_from_ordinary_leaves() {
    let scene = Scene::new();
    let (focus, alice, bob) = (scene.focus(), scene.visitor(), scene.visitor());
    let daily = room("daily");
    focus.join(&daily, "focus", "").unwrap();
    alice.join(&daily, "aaaaaaaa", "").unwrap();
    bob.join(&daily, "bbbbbbbb", "").unwrap();
    focus.affiliate(&daily, bob.jid().split('/').next().unwrap(), "outcast").unwrap();
    alice.leave(&daily, "aaaaaaaa", "switch_room").unwrap();
    scene.wait_for("muc-occupant-left", 2);
    let reasons: Vec<String> = scene
        .events()
        .iter()
        .filter(|event| event.event == "muc-occupant-left")
        .map(|event| format!("{} {}", event.text("occupant_id"), event.text("reason")))
        .collect();
    assert_eq!(reasons, ["bbbbbbbb banned", "aaaaaaaa switch_room"]);
}

#[test]
fn what_somebody_is_cannot_be_claimed() {
    let scene = Scene::new();
    let daily = room("daily");
    let focus = scene.focus();
    focus.join(&daily, "focus", "").unwrap();
    let transcribes = "<features><feature var='http://jitsi.org/protocol/transcriber'/></features>";
    let dialled_in = "<initiator xmlns='http://jitsi.org/protocol/jigasi'/>";
    let people = [
        (scene.visitor(), "11111111", ""),
        (scene.visitor(), "22222222", dialled_in),
        (scene.visitor(), "33333333", transcribes),
        (scene.visitor(), "recorder", ""),
        (scene.account(RECORDER_DOMAIN, "recorder"), "44444444", ""),
        (scene.account(RECORDER_DOMAIN, "recorder"), "55555555", transcribes),
        (scene.account(RECORDER_DOMAIN, "transcriber"), "66666666", ""),
    ];
    for (client, nick, extensions) in &people {
        client.join(&daily, nick, extensions).unwrap();
    }
    scene.wait_for("muc-occupant-joined", people.len());
    let events = scene.events();
    let joins = events.iter().filter(|event| event.event == "muc-occupant-joined");
    let kinds: Vec<&str> = joins.map(|event| event.text("kind")).collect();
    assert_eq!(kinds, ["human", "phone", "human", "human", "recorder", "transcriber", "transcriber"]);
}

#[test]
fn what_clients_choose_is_limited_and_stays_valid_json() {
    let scene = Scene::new();
    let (focus, alice) = (scene.focus(), scene.visitor());
    let daily = room("daily");
    focus.join(&daily, "focus", "").unwrap();
    let tricky = "\"\\\u{202e}\u{7f}é\t</nick>";
    alice.join(&daily, "aaaaaaaa", &display_name(tricky)).unwrap();
    let long = "ü".repeat(300);
    alice
        .update(&daily, "aaaaaaaa", &format!("{}<email>{}</email>", display_name(&long), escaped("a@b&c")))
        .unwrap();
    scene.wait_for("muc-occupant-updated", 1);
    let events = scene.events();
    assert_eq!(events[2].text("display_name"), tricky);
    assert_eq!(events[3].text("display_name"), "ü".repeat(256));
    assert_eq!(events[3].text("email"), "a@b&c");
}

#[test]
fn a_breakout_room_is_told_under_its_main_rooms_name() {
    let scene = Scene::new();
    let (focus, alice) = (scene.focus(), scene.visitor());
    let daily = room("daily");
    focus.join(&daily, "focus", "").unwrap();
    let group = format!("6a7d1c3b@{BREAKOUT}");
    scene.prosody.open_breakout(&daily, &group).unwrap();
    focus.join(&group, "focus", "").unwrap();
    alice.join(&group, "aaaaaaaa", "").unwrap();
    let told = || {
        spool::events(&scene.spool).unwrap().into_iter().find(|event| event.event == "muc-occupant-joined")
    };
    assert!(eventually(SOON, || told().is_some()));
    let joined = told().unwrap();
    assert_eq!(joined.room, "daily");
    assert_eq!(joined.data["is_breakout"], true);
    assert_eq!(joined.text("breakout_room_id"), "6a7d1c3b");
}
