use proptest::prelude::*;
use serde_json::json;

use super::*;

fn event(name: &str, second: u32, data: &Value) -> Event {
    let body = json!({"event": name, "room": "r", "timestamp": second, "data": data});
    Event::parse(body.to_string().as_bytes()).unwrap()
}

fn folded(events: &[Event]) -> Session {
    events.iter().map(|event| Session::of(event).unwrap().1).fold(Session::default(), Session::merge)
}

fn seconds(run: &Run) -> (Option<i64>, Option<i64>) {
    (run.started_at.map(OffsetDateTime::unix_timestamp), run.ended_at.map(OffsetDateTime::unix_timestamp))
}

#[test]
fn a_session_is_named_by_either_dialect_or_not_at_all() {
    for (data, expected) in [
        (json!({"session_id": "s", "recording_id": "r"}), "s"),
        (json!({"recording_id": "rec-789", "initiator": "moderator-123"}), "rec-789"),
        (json!({}), UNNAMED),
    ] {
        assert_eq!(Session::of(&event(name::RECORDING_ON, 1, &data)).unwrap().0, expected);
    }
    assert!(Session::of(&event(name::OCCUPANT_JOINED, 1, &json!({"session_id": "s"}))).is_none());
}

#[test]
fn a_recording_runs_from_its_first_on_to_a_later_off_or_the_next_boot() {
    let on = event(name::RECORDING_ON, 10, &json!({"session_id": "s", "boot_id": "b1"}));
    let failed = event(name::RECORDING_OFF, 20, &json!({"session_id": "s", "failure_reason": "error"}));
    let off_earlier = event(name::RECORDING_OFF, 5, &json!({"session_id": "s"}));
    let boots = ["b1", "b2"].iter().zip([1, 15]).map(|(boot_id, second)| Boot {
        boot_id: (*boot_id).to_owned(),
        source: "s".to_owned(),
        started_at: OffsetDateTime::from_unix_timestamp(second).unwrap(),
    });
    let boots: Vec<_> = boots.collect();

    let run = folded(std::slice::from_ref(&on)).run(&[]);
    assert_eq!((seconds(&run), run.running), ((Some(10), None), true));
    let run = folded(&[off_earlier, on.clone()]).run(&[]);
    assert_eq!((seconds(&run), run.running), ((Some(10), None), true));
    let run = folded(&[failed.clone(), on.clone()]).run(&boots);
    assert_eq!((seconds(&run), run.running), ((Some(10), Some(20)), false));
    assert_eq!(run.failure_reason.as_deref(), Some("error"));
    let run = folded(&[on]).run(&boots);
    assert_eq!((seconds(&run), run.running), ((Some(10), Some(15)), false));
    let run = folded(&[failed]).run(&[]);
    assert_eq!((seconds(&run), run.running), ((None, Some(20)), false));
}

#[test]
fn a_room_s_end_ends_what_ran_until_then_without_a_failure() {
    let on = event(name::RECORDING_ON, 10, &json!({"session_id": "s"}));
    let failed = event(name::RECORDING_OFF, 12, &json!({"session_id": "s", "failure_reason": "error"}));
    for (events, end, expected) in [
        (vec![on.clone()], 20, (Some(20), None, false)),
        (vec![on.clone()], 9, (None, None, true)),
        (vec![on, failed], 20, (Some(12), Some("error"), false)),
    ] {
        let end = Moment { at: OffsetDateTime::from_unix_timestamp(end).unwrap(), seq: None };
        let run = folded(&events).after_room_end(end, &[]).run(&[]);
        assert_eq!((seconds(&run).1, run.failure_reason.as_deref(), run.running), expected, "{end:?}");
    }
}

#[test]
fn a_notice_announces_a_file() {
    let notice = br#"{"id":"rec_1","room_name":"r","recording_file":"/r/s/f.mp4","recording_status":"completed","timestamp":1,"session_id":"s","host":"h","size_bytes":5,"duration_ms":7,"sha256":"ab"}"#;
    let file = File::of(&contract::recording::parse(notice).unwrap()).unwrap();
    assert_eq!(
        (file.id.as_str(), file.file.as_str(), file.status.as_str()),
        ("rec_1", "/r/s/f.mp4", "completed")
    );
    assert_eq!((file.size_bytes, file.duration_ms), (Some(5), Some(7)));
    assert_eq!((file.session_id.as_deref(), file.host.as_deref()), (Some("s"), Some("h")));
}

#[test]
fn whereby_announces_a_file_by_its_name_and_not_by_its_event() {
    let finished =
        |filename: &str| event(WHEREBY_FINISHED, 1, &json!({"filename": filename, "status": "completed"}));
    let name = "R-2026-03-01T10:02:20Z.mp4";
    let file = File::of(&finished(name)).unwrap();
    assert_eq!((file.file.as_str(), file.object_key.as_deref(), file.bucket), (name, Some(name), None));
    assert_eq!(file.id, WherebyFile::parse(&format!("folder/{name}")).unwrap().id);
    assert_eq!(file.started_at.unwrap().unix_timestamp(), 1_772_359_340);
    assert!(File::of(&finished("of another kind.mp4")).is_none());
    assert!(File::of(&finished("of-another-room-2026-03-01T10:02:20Z.mp4")).is_none());
    assert!(File::of(&event(WHEREBY_FINISHED, 1, &json!({}))).is_none());
}

fn any_session() -> impl Strategy<Value = Session> {
    let names = prop::sample::select(vec![name::RECORDING_ON, name::RECORDING_OFF]);
    let text = || prop::option::of(prop::sample::select(vec!["a", "B", "é"]));
    let event = (names, 0..3u32, prop::option::of(0..3i64), text(), text(), text()).prop_map(
        |(name, second, seq, boot_id, failure_reason, initiator)| {
            let data = json!({"seq": seq, "boot_id": boot_id, "failure_reason": failure_reason, "initiator": initiator});
            event(name, second, &data)
        },
    );
    prop::collection::vec(event, 0..4).prop_map(|events| folded(&events))
}

proptest! {
    #[test]
    fn merging_does_not_depend_on_order_grouping_or_repetition(
        a in any_session(), b in any_session(), c in any_session(),
    ) {
        prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.clone().merge(b.clone().merge(c)));
        prop_assert_eq!(a.clone().merge(a.clone()), a);
    }
}
