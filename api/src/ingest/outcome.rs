//! What became of each event: functions of what the statement did.

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

impl Outcome {
    /// The outcome's name in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Duplicate => "duplicate",
            Self::Acknowledged => "acknowledged",
            Self::MeetingUnknown => "meeting_unknown",
            Self::Refused(_) => "refused",
        }
    }

    /// Whether the event's id is stored now.
    fn takes_id(&self) -> bool {
        matches!(self, Self::Stored | Self::Duplicate)
    }
}

/// One outcome for each event that was given to the statement, in their order.
pub(super) fn outcomes(events: &[&Event], stored: &Stored) -> Vec<Outcome> {
    let places = room_places(events);
    let has_meeting = |event: &Event| {
        let place = places.get(event.room.as_str()).copied();
        place.and_then(|place| stored.has_meeting.get(place - 1)).copied().unwrap_or(false)
    };
    let is_new_boot = |event: &Event| stored.boot_event_ids.iter().any(|id| id == event.id.as_str());
    let outcome = |event: &&Event| match event.name.as_str() {
        name::SOURCE_STARTED if is_new_boot(event) => Outcome::Stored,
        name::SOURCE_STARTED => Outcome::Duplicate,
        _ if has_meeting(event) => Outcome::Stored,
        name::TEST => Outcome::Acknowledged,
        _ => Outcome::MeetingUnknown,
    };
    events.iter().map(outcome).collect()
}

/// A group's events and what became of them so far.
pub(super) struct Ledger<'a> {
    events: &'a [Event],
    outcomes: Vec<Option<Outcome>>,
}

/// Events that may be stored together: no id stands twice.
pub(super) struct Part<'a> {
    places: Vec<usize>,
    /// The events.
    pub(super) events: Vec<&'a Event>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(events: &'a [Event]) -> Self {
        Self { events, outcomes: vec![None; events.len()] }
    }

    /// The first events that have no outcome yet, at most `limit`, the first of each id. `None` when every event has its outcome.
    pub(super) fn open(&self, limit: usize) -> Option<Part<'a>> {
        let mut ids = HashSet::new();
        let open = self.events.iter().zip(&self.outcomes).enumerate();
        let (places, events): (Vec<_>, Vec<_>) = open
            .filter(|(_, (event, outcome))| outcome.is_none() && ids.insert(event.id.as_str()))
            .map(|(place, (event, _))| (place, event))
            .take(limit)
            .unzip();
        if places.is_empty() { None } else { Some(Part { places, events }) }
    }

    /// Each event of `part` has met its outcome. Repetitions of one that was stored are duplicates.
    pub(super) fn settle(&mut self, part: &Part<'_>, outcomes: Vec<Outcome>) {
        let mut taken = HashSet::new();
        for ((place, event), outcome) in part.places.iter().zip(&part.events).zip(outcomes) {
            if outcome.takes_id() {
                taken.insert(event.id.as_str());
            }
            self.outcomes[*place] = Some(outcome);
        }
        self.duplicates(&taken);
    }

    /// These ids turned out to be stored already.
    pub(super) fn know(&mut self, ids: &[String]) {
        self.duplicates(&ids.iter().map(String::as_str).collect());
    }

    /// One outcome per event, in their order.
    pub(super) fn close(self) -> Vec<Outcome> {
        self.outcomes.into_iter().flatten().collect()
    }

    fn duplicates(&mut self, ids: &HashSet<&str>) {
        for (event, outcome) in self.events.iter().zip(&mut self.outcomes) {
            if outcome.is_none() && ids.contains(event.id.as_str()) {
                *outcome = Some(Outcome::Duplicate);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, name: &str, room: &str) -> Event {
        let body = format!(r#"{{"id":"{id}","event":"{name}","room":"{room}","timestamp":0}}"#);
        Event::parse(body.as_bytes()).unwrap()
    }

    fn ids<'a>(part: &Part<'a>) -> Vec<&'a str> {
        part.events.iter().map(|event| event.id.as_str()).collect()
    }

    #[test]
    fn every_event_of_a_statement_learns_what_became_of_it() {
        let events = [
            event("a", "e", "known"),
            event("b", "e", "unknown"),
            event("c", name::TEST, "unknown"),
            event("d", name::TEST, "known"),
            event("e", name::SOURCE_STARTED, "unknown"),
            event("f", name::SOURCE_STARTED, "known"),
        ];
        let stored = Stored { has_meeting: vec![true, false], boot_event_ids: vec!["e".into()] };
        let expected = [
            Outcome::Stored,
            Outcome::MeetingUnknown,
            Outcome::Acknowledged,
            Outcome::Stored,
            Outcome::Stored,
            Outcome::Duplicate,
        ];
        assert_eq!(outcomes(&events.iter().collect::<Vec<_>>(), &stored), expected);
    }

    #[test]
    fn an_id_stands_once_in_a_part_and_its_repetition_waits_for_what_becomes_of_it() {
        let events = ["a", "b", "a", "b", "c"].map(|id| event(id, "e", "r"));
        let mut ledger = Ledger::new(&events);
        let part = ledger.open(2).unwrap();
        assert_eq!(ids(&part), ["a", "b"]);
        ledger.settle(&part, vec![Outcome::Stored, Outcome::MeetingUnknown]);
        let part = ledger.open(usize::MAX).unwrap();
        assert_eq!(ids(&part), ["b", "c"], "the second `b` may be of another room");
        ledger.settle(&part, vec![Outcome::Stored, Outcome::Refused("why".to_owned())]);
        assert!(ledger.open(usize::MAX).is_none());
        let expected = [
            Outcome::Stored,
            Outcome::MeetingUnknown,
            Outcome::Duplicate,
            Outcome::Stored,
            Outcome::Refused("why".to_owned()),
        ];
        assert_eq!(ledger.close(), expected);
    }

    #[test]
    fn known_ids_are_left_out_from_then_on() {
        let events = ["a", "b", "a"].map(|id| event(id, "e", "r"));
        let mut ledger = Ledger::new(&events);
        ledger.know(&["a".to_owned()]);
        let part = ledger.open(usize::MAX).unwrap();
        assert_eq!(ids(&part), ["b"]);
        ledger.settle(&part, vec![Outcome::Stored]);
        assert_eq!(ledger.close(), [Outcome::Duplicate, Outcome::Stored, Outcome::Duplicate]);
    }
}
