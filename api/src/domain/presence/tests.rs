use proptest::prelude::*;
use time::macros::datetime;

use super::*;

fn event(name: &str, second: u32, data: &str) -> Event {
    let body = format!(r#"{{"event":"{name}","room":"r","timestamp":{second},"data":{data}}}"#);
    Event::parse(body.as_bytes()).unwrap()
}

fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(second).unwrap()
}

fn folded(events: &[Event]) -> Occupant {
    let sightings = events.iter().map(|event| Sighting::of(event).unwrap().occupant);
    sightings.fold(Occupant::default(), Occupant::merge)
}

fn boot(boot_id: &str, source: &str, second: i64) -> Boot {
    Boot { boot_id: boot_id.into(), source: source.into(), started_at: at(second) }
}

#[test]
fn both_dialects_name_an_occupant() {
    for (data, id, display_name) in [
        (r#"{"occupant_id":"participant-456","nick":"John Doe"}"#, "participant-456", Some("John Doe")),
        (r#"{"user_id":"test-user","display_name":"Test User"}"#, "test-user", Some("Test User")),
        (r#"{"occupant_id":"o","user_id":"u","nick":"n","display_name":"d"}"#, "o", Some("d")),
        (r#"{"nick":"n"}"#, "n", Some("n")),
        (r#"{"occupant_id":"","user_id":"u"}"#, "u", None),
    ] {
        let sighting = Sighting::of(&event(name::OCCUPANT_JOINED, 1, data)).unwrap();
        assert_eq!(sighting.key.occupant_id, id, "{data}");
        assert_eq!(sighting.occupant.description.display_name.as_deref(), display_name, "{data}");
    }
}

#[test]
fn an_event_that_names_nobody_or_is_no_presence_sights_nobody() {
    assert_eq!(Sighting::of(&event(name::OCCUPANT_JOINED, 1, "{}")), None);
    assert_eq!(Sighting::of(&event(name::ROOM_CREATED, 1, r#"{"occupant_id":"o"}"#)), None);
}

#[test]
fn the_same_id_in_a_breakout_room_is_another_stay() {
    let main = Sighting::of(&event(name::OCCUPANT_JOINED, 1, r#"{"occupant_id":"o"}"#)).unwrap();
    let breakout =
        Sighting::of(&event(name::OCCUPANT_JOINED, 1, r#"{"occupant_id":"o","breakout_room_id":"b"}"#));
    assert_ne!(main.key, breakout.unwrap().key);
}

#[test]
fn an_id_too_long_for_an_index_is_cut() {
    let data = format!(r#"{{"occupant_id":"{}"}}"#, "é".repeat(5000));
    let key = Sighting::of(&event(name::OCCUPANT_JOINED, 1, &data)).unwrap().key;
    assert_eq!(key.occupant_id.len(), 1022);
}

#[test]
fn a_stay_ends_with_a_later_leave_or_the_next_boot_of_its_source() {
    let joined = event(name::OCCUPANT_JOINED, 10, r#"{"occupant_id":"o","boot_id":"b1","seq":3}"#);
    let left = event(name::OCCUPANT_LEFT, 20, r#"{"occupant_id":"o","reason":"kicked"}"#);
    let left_earlier = event(name::OCCUPANT_LEFT, 5, r#"{"occupant_id":"o"}"#);
    let left_at_once = event(name::OCCUPANT_LEFT, 10, r#"{"occupant_id":"o","seq":4}"#);
    let left_just_before = event(name::OCCUPANT_LEFT, 10, r#"{"occupant_id":"o","seq":2}"#);
    let boots = [boot("b1", "s", 1), boot("b2", "s", 30), boot("b3", "s", 40)];
    let strangers = [boot("b1", "s", 1), boot("x", "other", 30), boot("b0", "s", 0)];
    let stay = |events: &[&Event], boots: &[Boot]| {
        let events: Vec<_> = events.iter().map(|event| (*event).clone()).collect();
        let stay = folded(&events).stay(boots);
        (stay.left_at.map(OffsetDateTime::unix_timestamp), stay.left_reason, stay.present)
    };
    let reason = |text: &str| Some(text.to_owned());
    assert_eq!(stay(&[&joined], &[]), (None, None, true));
    assert_eq!(stay(&[&joined, &left], &boots), (Some(20), reason("kicked"), false));
    assert_eq!(stay(&[&joined, &left_earlier], &[]), (None, None, true));
    assert_eq!(stay(&[&joined, &left_at_once], &[]), (Some(10), None, false));
    assert_eq!(stay(&[&joined, &left_just_before], &[]), (None, None, true));
    assert_eq!(stay(&[&joined], &boots), (Some(30), reason(SOURCE_RESTARTED), false));
    assert_eq!(stay(&[&joined], &strangers), (None, None, true));
    assert_eq!(stay(&[&left], &[]), (Some(20), reason("kicked"), false));
    let updated = event(name::OCCUPANT_UPDATED, 1, r#"{"occupant_id":"o"}"#);
    assert_eq!(stay(&[&updated], &[]), (None, None, false));
}

#[test]
fn a_leave_tells_a_name_only_when_nothing_else_does() {
    let joined = event(name::OCCUPANT_JOINED, 1, r#"{"occupant_id":"o","display_name":"Ann"}"#);
    let left = event(name::OCCUPANT_LEFT, 2, r#"{"occupant_id":"o","display_name":"zzz"}"#);
    assert_eq!(folded(std::slice::from_ref(&left)).description.display_name.as_deref(), Some("zzz"));
    assert_eq!(folded(&[left, joined]).description.display_name.as_deref(), Some("Ann"));
}

#[test]
fn times_are_kept_as_the_database_keeps_them() {
    let body = br#"{"event":"muc-occupant-joined","room":"r","timestamp":"2025-01-15T12:30:00.123456789+02:00","data":{"nick":"n"}}"#;
    let sighting = Sighting::of(&Event::parse(body).unwrap()).unwrap();
    assert_eq!(sighting.occupant.first_join_at, Some(datetime!(2025-01-15 10:30:00.123456 UTC)));
}

/// Presence events with few different values, so that ties and conflicts are common.
pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let names =
        prop::sample::select(vec![name::OCCUPANT_JOINED, name::OCCUPANT_UPDATED, name::OCCUPANT_LEFT]);
    let text = || prop::option::of(prop::sample::select(vec!["a", "B", "é", "z"]));
    (names, 0..4u32, prop::option::of(0..3i64), text(), text(), text(), text()).prop_map(
        |(name, second, seq, boot_id, reason, display_name, role)| {
            let data = serde_json::json!({
                "occupant_id": "o", "seq": seq, "boot_id": boot_id, "reason": reason,
                "display_name": display_name, "role": role,
            });
            event(name, second, &data.to_string())
        },
    )
}

fn any_occupant() -> impl Strategy<Value = Occupant> {
    prop::collection::vec(any_event(), 0..4).prop_map(|events| folded(&events))
}

proptest! {
    #[test]
    fn merging_does_not_depend_on_order_grouping_or_repetition(
        a in any_occupant(), b in any_occupant(), c in any_occupant(),
    ) {
        prop_assert_eq!(a.clone().merge(b.clone()), b.clone().merge(a.clone()));
        prop_assert_eq!(a.clone().merge(b.clone()).merge(c.clone()), a.clone().merge(b.clone().merge(c)));
        prop_assert_eq!(a.clone().merge(a.clone()), a.clone());
        prop_assert_eq!(a.clone().merge(Occupant::default()), a);
    }
}
