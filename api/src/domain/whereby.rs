//! What Whereby's names, roles and counts mean.
//!
//! A meeting is known under the name of its room at Whereby, in lower case and without the slash that Whereby puts before it in
//! webhooks and leaves out in the names of files: [`room_name`].

use contract::event::Event;
use serde_json::{Map, Value};
use time::OffsetDateTime;

use super::moment::{Moment, Statement, bounded};
use super::presence::{Description, Occupant, OccupantKey, Sighting, Told};
use super::recording::Session;

/// Somebody, or something, came in.
pub const JOINED: &str = "room.client.joined";
/// Somebody, or something, went.
pub const LEFT: &str = "room.client.left";

/// The role of what records a meeting.
const RECORDER: &str = "recorder";

/// The roles of those who are counted as clients and are no people.
pub const MACHINES: &[&str] = &[RECORDER, "streamer", "captioner", "assistant"];

/// The longest prefix that Whereby takes.
const MAX_PREFIX_CHARS: usize = 39;

/// What the name of a Whereby room for the room `name` begins with. Names of such rooms leave space for the hyphen.
pub fn prefix(name: &str) -> String {
    let folded = name.to_ascii_lowercase();
    let kept = folded.chars().filter(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'));
    let mut prefix: String = kept.take(MAX_PREFIX_CHARS - 1).collect();
    prefix.push('-');
    prefix
}

/// The one form of a room's name at Whereby in which names are stored and compared.
pub fn room_name(text: &str) -> String {
    text.strip_prefix('/').unwrap_or(text).to_lowercase()
}

/// Whether the room of this name and end is the one that was asked for with `prefix` and `end_date`. Whereby writes dates with
/// milliseconds or without.
pub fn is_answer_to(prefix: &str, end_date: OffsetDateTime, name: &str, ends_at: OffsetDateTime) -> bool {
    let cut = |nanoseconds: u32| end_date.replace_nanosecond(nanoseconds).unwrap_or(end_date);
    let milliseconds = end_date.nanosecond() / 1_000_000 * 1_000_000;
    room_name(name).starts_with(prefix) && (ends_at == cut(milliseconds) || ends_at == cut(0))
}

/// What `event` says about somebody in the room; `None` for events of other kinds and for those that name nobody.
pub fn sighting(event: &Event) -> Option<Sighting> {
    let moment = Moment::of(event);
    let occupant = match event.name.as_str() {
        JOINED => Occupant {
            first_join_at: Some(moment.at),
            last_join: Some(Statement::new(moment, None)),
            last_left: None,
            description: description(event, Some(moment)),
        },
        LEFT => Occupant {
            last_left: Some(Statement::new(moment, None)),
            description: description(event, None),
            ..Occupant::default()
        },
        _ => return None,
    };
    let id = event.text("participantId")?;
    let key = OccupantKey { occupant_id: bounded(id), breakout_room_id: String::new() };
    Some(Sighting { key, occupant })
}

/// `externalId` is left out: it is a parameter of the address that a participant came by, which everybody can change.
fn description(event: &Event, moment: Option<Moment>) -> Description {
    let told = |text: &str| Some(Told { moment, text: text.to_owned() });
    Description {
        display_name: event.text("displayName").and_then(told),
        role: event.text("roleName").and_then(told),
        kind: told(kind(event)),
        ..Description::default()
    }
}

fn kind(event: &Event) -> &str {
    match event.text("roleName") {
        Some(role) if MACHINES.contains(&role) => role,
        _ if event.data.get("isDialIn") == Some(&Value::Bool(true)) => "phone",
        _ => "human",
    }
}

/// The recording session that `event` speaks of: Whereby has no events for those, but a recorder that comes and goes.
pub fn session(event: &Event) -> Option<(String, Session)> {
    if event.text("roleName") != Some(RECORDER) {
        return None;
    }
    let statement = Statement::new(Moment::of(event), None);
    let session = match event.name.as_str() {
        JOINED => {
            Session { first_on_at: Some(statement.moment.at), last_on: Some(statement), ..Session::default() }
        }
        LEFT => Session { last_off: Some(statement), ..Session::default() },
        _ => return None,
    };
    Some((bounded(event.text("participantId")?), session))
}

/// How many people are in the room after an event with this data; `None` where it does not say.
pub fn people(data: &Map<String, Value>) -> Option<usize> {
    let count = |value: &Value| value.as_u64().and_then(|count| usize::try_from(count).ok());
    let clients = data.get("numClients").and_then(count)?;
    let by_role = data.get("numClientsByRoleName").and_then(Value::as_object);
    let of_role = |role: &&str| by_role.and_then(|roles| roles.get(*role)).and_then(count).unwrap_or(0);
    Some(MACHINES.iter().map(of_role).fold(clients, usize::saturating_sub))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::meeting::people_present;
    use serde_json::json;
    use std::collections::BTreeMap;
    use time::macros::datetime;

    fn event(name: &str, data: &Value) -> Event {
        let body = json!({"event": name, "room": "r", "timestamp": 60, "data": data}).to_string();
        Event::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn a_prefix_is_what_whereby_takes() {
        let long = "x".repeat(50);
        for (name, expected) in
            [("standup", "standup-"), ("Stand_Up!", "standup-"), (&long, &*format!("{}-", "x".repeat(38)))]
        {
            assert_eq!(prefix(name), expected);
        }
    }

    #[test]
    fn a_room_is_known_by_its_prefix_and_its_end() {
        let end = datetime!(2026-03-01 18:00:00.123456 UTC);
        for (name, ends_at, expected) in [
            ("/standup-0b1f", datetime!(2026-03-01 18:00:00.123 UTC), true),
            ("/Standup-0b1f", datetime!(2026-03-01 18:00 UTC), true),
            ("standup-0b1f", datetime!(2026-03-01 19:00:00.123 +1), true),
            ("/standup-0b1f", datetime!(2026-03-01 18:00:00.124 UTC), false),
            ("/standup-0b1f", datetime!(2026-03-01 18:00:01 UTC), false),
            ("/other-standup-0b1f", datetime!(2026-03-01 18:00 UTC), false),
        ] {
            assert_eq!(is_answer_to("standup-", end, name, ends_at), expected, "{name} {ends_at}");
        }
    }

    #[test]
    fn who_comes_and_goes_is_folded_like_anywhere_else() {
        let member =
            json!({"participantId": "p", "displayName": "José", "roleName": "visitor", "externalId": "u-1"});
        let joined = sighting(&event(JOINED, &member)).unwrap();
        assert_eq!(joined.key.occupant_id, "p");
        assert_eq!(joined.occupant.description.display_name.as_ref().unwrap().text, "José");
        assert_eq!(joined.occupant.description.user_id, None);
        assert!(joined.occupant.stay(&[]).present);
        let left = sighting(&event(LEFT, &member)).unwrap();
        assert!(!left.occupant.merge(joined.occupant).stay(&[]).present);
        assert!(sighting(&event("room.client.knocked", &member)).is_none());
        assert!(sighting(&event(JOINED, &json!({"roleName": "host"}))).is_none());
    }

    #[test]
    fn machines_are_no_people() {
        for (data, expected) in [
            (json!({"roleName": "host"}), 1),
            (json!({"roleName": "visitor", "isDialIn": true}), 1),
            (json!({"roleName": "recorder"}), 0),
            (json!({"roleName": "streamer"}), 0),
            (json!({"roleName": "captioner"}), 0),
            (json!({"roleName": "assistant"}), 0),
            (json!({}), 1),
        ] {
            let mut data = data;
            data["participantId"] = json!("p");
            let found = sighting(&event(JOINED, &data)).unwrap();
            let occupants = BTreeMap::from([(found.key, found.occupant)]);
            assert_eq!(people_present(&occupants, &[]), expected, "{data}");
        }
    }

    #[test]
    fn a_count_of_clients_becomes_one_of_people() {
        for (data, expected) in [
            (json!({"numClients": 2, "numClientsByRoleName": {"host": 1, "recorder": 1}}), Some(1)),
            (
                json!({"numClients": 5, "numClientsByRoleName": {"host": 1, "assistant": 1, "captioner": 1, "streamer": 1}}),
                Some(2),
            ),
            (json!({"numClients": 3}), Some(3)),
            (json!({"numClients": 0, "numClientsByRoleName": {"recorder": 1}}), Some(0)),
            (json!({"numClients": -1}), None),
            (json!({"numClients": "2"}), None),
            (json!({}), None),
        ] {
            assert_eq!(people(data.as_object().unwrap()), expected, "{data}");
        }
    }

    #[test]
    fn a_recorder_that_comes_and_goes_is_a_recording() {
        let recorder = json!({"participantId": "rec-1", "roleName": "recorder"});
        let (id, on) = session(&event(JOINED, &recorder)).unwrap();
        assert_eq!((id.as_str(), on.run(&[]).running), ("rec-1", true));
        let (_, off) = session(&event(LEFT, &recorder)).unwrap();
        assert!(!on.merge(off).run(&[]).running);
        assert!(session(&event(JOINED, &json!({"participantId": "p", "roleName": "host"}))).is_none());
    }
}
