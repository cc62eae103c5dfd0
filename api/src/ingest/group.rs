//! Events → the rows of one statement.

use std::collections::{BTreeMap, HashMap};

use contract::event::{Event, name};

use crate::db::events::{Group, NewBoot, NewEvent, RoomPlace};
use crate::domain::moment::Moment;
use crate::domain::presence::{Occupant, OccupantKey, Sighting, room_end};
use crate::domain::recording::{File, Session};
use crate::domain::whereby;

/// The rooms of `events`, numbered from 1 in the order of their first mention.
pub(super) fn room_places<'a>(events: &[&'a Event]) -> HashMap<&'a str, usize> {
    let mut places = HashMap::new();
    for event in events {
        let next = places.len() + 1;
        places.entry(event.room.as_str()).or_insert(next);
    }
    places
}

/// The rows that store `events`. What they say about one occupant, one session or one file of a room is merged, so that no row is written twice, and
/// sorted by room and key, so that two groups never wait for each other's rows crosswise.
pub(super) fn group<'a>(events: &[&'a Event]) -> Group<'a> {
    let places = room_places(events);
    let mut group = Group { rooms: in_order(&places), ..Group::default() };
    let mut occupants: BTreeMap<(&str, OccupantKey), (RoomPlace, Occupant)> = BTreeMap::new();
    let mut sessions: BTreeMap<(&str, String), (RoomPlace, Session)> = BTreeMap::new();
    let mut ends: BTreeMap<(&str, String), (RoomPlace, Moment)> = BTreeMap::new();
    let mut files: BTreeMap<(&str, String), (RoomPlace, File)> = BTreeMap::new();
    for event in events {
        if event.name == name::SOURCE_STARTED {
            group.boots.extend(boot(event));
            continue;
        }
        let room = places
            .get(event.room.as_str())
            .and_then(|place| RoomPlace::try_from(*place).ok())
            .expect("every event's room was numbered");
        group.events.push(row(event, room));
        let sighting = Sighting::of(event).or_else(|| whereby::sighting(event));
        if let Some(Sighting { key, occupant }) = sighting {
            let (_, known) =
                occupants.entry((event.room.as_str(), key)).or_insert_with(|| (room, Occupant::default()));
            *known = std::mem::take(known).merge(occupant);
        }
        if let Some((session_id, session)) = Session::of(event).or_else(|| whereby::session(event)) {
            let (_, known) = sessions
                .entry((event.room.as_str(), session_id))
                .or_insert_with(|| (room, Session::default()));
            *known = std::mem::take(known).merge(session);
        }
        if let Some((breakout_room_id, end)) = room_end(event) {
            let (_, known) = ends.entry((event.room.as_str(), breakout_room_id)).or_insert((room, end));
            *known = end.max(*known);
        }
        if let Some(file) = File::of(event) {
            // The latest counts, as it does when they come in two groups.
            files.insert((event.room.as_str(), file.id.clone()), (room, file));
        }
    }
    group.occupants =
        occupants.into_iter().map(|((_, key), (room, occupant))| (room, key, occupant)).collect();
    group.ends = ends.into_iter().map(|((_, id), (room, end))| (room, id, end)).collect();
    group.files = files.into_values().collect();
    group.sessions = sessions.into_iter().map(|((_, id), (room, session))| (room, id, session)).collect();
    group
}

fn in_order<'a>(places: &HashMap<&'a str, usize>) -> Vec<&'a str> {
    let mut rooms = vec![""; places.len()];
    for (room, place) in places {
        rooms[place - 1] = room;
    }
    rooms
}

fn row(event: &Event, room: RoomPlace) -> NewEvent<'_> {
    NewEvent {
        id: event.id.as_str(),
        room,
        name: &event.name,
        occurred_at: event.timestamp,
        data: event.data_json.get(),
    }
}

fn boot(event: &Event) -> Option<NewBoot<'_>> {
    Some(NewBoot {
        boot_id: event.text("boot_id")?,
        event_id: event.id.as_str(),
        source: event.text("source")?,
        started_at: event.timestamp,
        data: event.data_json.get(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::recording;

    fn event(id: u32, name: &str, room: &str, data: &str) -> Event {
        let body =
            format!(r#"{{"id":"e{id}","event":"{name}","room":"{room}","timestamp":{id},"data":{data}}}"#);
        Event::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn what_events_say_about_one_occupant_becomes_one_row() {
        let occupant = r#"{"occupant_id":"o"}"#;
        let events = [
            event(1, name::OCCUPANT_JOINED, "r1", occupant),
            event(2, name::OCCUPANT_LEFT, "r1", occupant),
            event(3, name::OCCUPANT_JOINED, "r2", occupant),
            event(4, name::RECORDING_ON, "r2", r#"{"session_id":"s"}"#),
            event(5, name::RECORDING_OFF, "r2", r#"{"session_id":"s"}"#),
            event(6, "of-a-later-release", "r2", "{}"),
            event(8, name::ROOM_DESTROYED, "r2", "{}"),
            event(7, name::ROOM_DESTROYED, "r2", "{}"),
        ];
        let group = group(&events.iter().collect::<Vec<_>>());
        assert_eq!(group.rooms, ["r1", "r2"]);
        assert_eq!(group.events.iter().map(|e| (e.id, e.room)).collect::<Vec<_>>().len(), 8);
        assert_eq!(group.occupants.iter().map(|(room, ..)| *room).collect::<Vec<_>>(), [1, 2]);
        assert!(group.occupants[0].2.last_join.is_some() && group.occupants[0].2.last_left.is_some());
        assert_eq!(group.sessions.len(), 1);
        let ends: Vec<_> = group.ends.iter().map(|(room, _, end)| (*room, end.at.unix_timestamp())).collect();
        assert_eq!(ends, [(2, 8)]);
    }

    #[test]
    fn what_events_say_about_one_file_becomes_one_row_of_each_room() {
        let file = |status| format!(r#"{{"filename":"r1-2026-03-01T10:02:20Z.mp4","status":"{status}"}}"#);
        let notice = r#"{"recording_file":"/a.mp4","recording_status":"completed"}"#;
        let events = [
            event(1, recording::WHEREBY_FINISHED, "r1", &file("first")),
            event(2, name::RECORDING_COMPLETED, "r1", notice),
            event(3, recording::WHEREBY_FINISHED, "r1", &file("last")),
        ];
        let group = group(&events.iter().collect::<Vec<_>>());
        let files: Vec<_> =
            group.files.iter().map(|(room, file)| (*room, &*file.file, &*file.status)).collect();
        assert_eq!(files, [(1, "/a.mp4", "completed"), (1, "r1-2026-03-01T10:02:20Z.mp4", "last")]);
    }

    #[test]
    fn a_boot_is_no_event_of_a_meeting() {
        let events = [event(1, name::SOURCE_STARTED, "h", r#"{"boot_id":"b","source":"s"}"#)];
        let group = group(&events.iter().collect::<Vec<_>>());
        assert!(group.events.is_empty());
        assert_eq!((group.boots[0].boot_id, group.boots[0].source), ("b", "s"));
    }
}
