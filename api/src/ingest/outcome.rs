//! What became of each event of a group: a function of what the statement stored.

use std::collections::HashSet;

use contract::event::{Event, name};

use super::group::room_places;
use crate::db::events::Stored;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Committed now.
    Stored,
    /// Its id was committed before; nothing changed.
    Duplicate,
    /// A test: signature, clock and connection are in order.
    Acknowledged,
    /// No meeting has this room; nothing was stored.
    MeetingUnknown,
    /// The database cannot hold what the event says.
    Refused(String),
}

/// One outcome per event, in their order. Where an id stands twice, the first is the one that was stored.
pub(super) fn outcomes(events: &[Event], stored: &Stored) -> Vec<Outcome> {
    let mut fresh: HashSet<&str> =
        stored.event_ids.iter().chain(&stored.boot_event_ids).map(String::as_str).collect();
    let places = room_places(events);
    events
        .iter()
        .map(|event| {
            let has_meeting = || {
                let place = places.get(event.room.as_str()).copied();
                place.and_then(|place| stored.has_meeting.get(place - 1)).copied().unwrap_or(false)
            };
            match event.name.as_str() {
                name::SOURCE_STARTED => {}
                name::TEST if !has_meeting() => return Outcome::Acknowledged,
                _ if !has_meeting() => return Outcome::MeetingUnknown,
                _ => {}
            }
            if fresh.remove(event.id.as_str()) { Outcome::Stored } else { Outcome::Duplicate }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, name: &str, room: &str) -> Event {
        let body = format!(r#"{{"id":"{id}","event":"{name}","room":"{room}","timestamp":0}}"#);
        Event::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn every_event_learns_what_became_of_it() {
        let events = [
            event("a", "e", "known"),
            event("a", "e", "known"),
            event("b", "e", "unknown"),
            event("c", "e", "known"),
            event("d", name::TEST, "unknown"),
            event("e", name::TEST, "known"),
            event("f", name::SOURCE_STARTED, "unknown"),
            event("g", name::SOURCE_STARTED, "known"),
        ];
        let stored = Stored {
            has_meeting: vec![true, false],
            event_ids: vec!["a".into(), "e".into()],
            boot_event_ids: vec!["f".into()],
        };
        let expected = [
            Outcome::Stored,
            Outcome::Duplicate,
            Outcome::MeetingUnknown,
            Outcome::Duplicate,
            Outcome::Acknowledged,
            Outcome::Stored,
            Outcome::Stored,
            Outcome::Duplicate,
        ];
        assert_eq!(outcomes(&events, &stored), expected);
    }

    #[test]
    fn an_id_that_stands_first_in_an_unknown_room_is_stored_where_the_room_is_known() {
        let events = [event("a", "e", "unknown"), event("a", "e", "known")];
        let stored = Stored {
            has_meeting: vec![false, true],
            event_ids: vec!["a".into()],
            boot_event_ids: Vec::new(),
        };
        assert_eq!(outcomes(&events, &stored), [Outcome::MeetingUnknown, Outcome::Stored]);
    }
}
