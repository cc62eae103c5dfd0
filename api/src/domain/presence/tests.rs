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

fn text(told: Option<&Told>) -> Option<&str> {
    told.map(|told| &*told.text)
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
        assert_eq!(text(sighting.occupant.description.display_name.as_ref()), display_name, "{data}");
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
    let strangers = [boot("b1", "s", 1), boot("x", "other", 30)];
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
    assert_eq!(text(folded(std::slice::from_ref(&left)).description.display_name.as_ref()), Some("zzz"));
    assert_eq!(text(folded(&[left, joined]).description.display_name.as_ref()), Some("Ann"));
}

#[test]
fn an_update_changes_what_it_mentions_and_nothing_else() {
    let joined = event(
        name::OCCUPANT_JOINED,
        1,
        r#"{"occupant_id":"o","display_name":"Ann","email":"ann@example.com","kind":"recorder","role":"participant"}"#,
    );
    let renamed = event(name::OCCUPANT_UPDATED, 2, r#"{"occupant_id":"o","display_name":"Zoe"}"#);
    let promoted = event(name::OCCUPANT_UPDATED, 3, r#"{"occupant_id":"o","role":"moderator"}"#);
    let description = folded(&[promoted, renamed, joined]).description;
    assert_eq!(text(description.display_name.as_ref()), Some("Zoe"));
    assert_eq!(text(description.role.as_ref()), Some("moderator"));
    assert_eq!(
        (text(description.email.as_ref()), text(description.kind.as_ref())),
        (Some("ann@example.com"), Some("recorder"))
    );
    assert_eq!(text(description.user_id.as_ref()), None);
}

#[test]
fn a_room_s_end_ends_who_was_there_until_then_and_nobody_else() {
    let joined = event(name::OCCUPANT_JOINED, 10, r#"{"occupant_id":"o","boot_id":"b1"}"#);
    let left = event(name::OCCUPANT_LEFT, 15, r#"{"occupant_id":"o","reason":"left"}"#);
    let boots = [boot("b1", "s", 1), boot("b2", "s", 30)];
    for (events, end, expected) in [
        (vec![joined.clone()], 20, (Some(20), Some(ROOM_DESTROYED), false)),
        (vec![joined.clone()], 10, (Some(10), Some(ROOM_DESTROYED), false)),
        (vec![joined.clone()], 9, (Some(30), Some(SOURCE_RESTARTED), false)),
        (vec![joined.clone()], 31, (Some(30), Some(SOURCE_RESTARTED), false)),
        (vec![joined, left.clone()], 20, (Some(15), Some("left"), false)),
        (vec![left], 20, (Some(15), Some("left"), false)),
    ] {
        let end = Moment { at: at(end), seq: None };
        let stay = folded(&events).after_room_end(end, &boots).stay(&boots);
        let found =
            (stay.left_at.map(OffsetDateTime::unix_timestamp), stay.left_reason.as_deref(), stay.present);
        assert_eq!(found, expected, "{end:?}");
    }
    let later = Moment { at: at(20), seq: None };
    let rejoined = folded(&[event(name::OCCUPANT_JOINED, 21, r#"{"occupant_id":"o"}"#)]);
    assert!(rejoined.after_room_end(later, &[]).stay(&[]).present);
}

#[test]
fn the_boot_that_was_stored_later_is_the_later_one_whatever_its_clock_says() {
    let joined = |boot_id| {
        folded(&[event(
            name::OCCUPANT_JOINED,
            10,
            &format!(r#"{{"occupant_id":"o","boot_id":"{boot_id}"}}"#),
        )])
    };
    let boots = [boot("b1", "s", 9), boot("b2", "s", 5)];
    let stay = joined("b1").stay(&boots);
    assert_eq!((stay.left_at, stay.present), (Some(at(10)), false), "nobody leaves before he came");
    assert!(joined("b2").stay(&boots).present);
}

#[test]
fn only_the_end_of_a_room_ends_one() {
    let end = room_end(&event(name::ROOM_DESTROYED, 5, r#"{"breakout_room_id":"b","seq":3}"#));
    assert_eq!(end, Some(("b".to_owned(), Moment { at: at(5), seq: Some(3) })));
    assert_eq!(room_end(&event(name::ROOM_CREATED, 5, "{}")), None);
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
    (names, 0..4u32, prop::option::of(0..3i64), text(), text(), text(), text(), text()).prop_map(
        |(name, second, seq, boot_id, reason, display_name, role, kind)| {
            let data = serde_json::json!({
                "occupant_id": "o", "seq": seq, "boot_id": boot_id, "reason": reason,
                "display_name": display_name, "role": role, "kind": kind,
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
