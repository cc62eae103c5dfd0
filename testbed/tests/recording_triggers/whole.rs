//! From a room's setting at the API to a recording that nobody has started by hand.

use std::time::Duration;

use testbed::meeting::{Invitation, Meeting};
use testbed::stack::Stack;
use testbed::wait::eventually;

use crate::stage::{SECOND, SESSION};

const ARRIVAL: Duration = Duration::from_secs(30);

#[test]
fn a_room_s_setting_starts_the_recording_when_the_second_person_joins() {
    let directory = tempfile::tempdir().unwrap();
    let stack = Stack::start_anywhere(directory.path()).unwrap();
    stack.client.ensure_recorded_room("daily", SECOND).unwrap();
    let alice = stack.client.create_meeting("daily").unwrap();
    let bob = stack.api.client("bob").unwrap().create_meeting("daily").unwrap();
    let invitation = Invitation {
        room: &alice.room_name,
        alice: &alice.host_room_url,
        bob: &bob.room_url,
        session_id: SESSION,
    };
    let meeting = Meeting::begin_by_rule(&stack.prosody, &stack.jibri, invitation, &mut |_| Ok(())).unwrap();
    meeting.record(20_000).unwrap();
    meeting.end(&mut |_| Ok(())).unwrap().unwrap();

    let told = |name: &str| {
        let events = stack.client.meeting(&alice.id).unwrap()["events"].as_array().cloned().unwrap();
        events.into_iter().find(|event| event["type"] == name)
    };
    assert!(eventually(ARRIVAL, || told("recording_completed").is_some()));
    let accepted = told("recording-start-accepted").unwrap();
    assert_eq!(
        (&accepted["data"]["trigger"], &accepted["data"]["session_id"]),
        (&SECOND.into(), &SESSION.into())
    );
    assert_eq!(told("jibri-recording-on").unwrap()["data"]["session_id"], SESSION);
}
