//! From a line to an outbox item.

use contract::event::{self, Label, MAX_EVENT_BYTES};
use contract::id::EventId;

use crate::outbox::model::{Kind, NewItem};
use crate::rooms::Rooms;

/// How much of a line that is too long is kept in the outbox; the whole stays in the file.
const EXCERPT: usize = 64 * 1024;

/// What some editors put in front of a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Where a line stands: a digest of its file's first line, and its first byte.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The digest.
    pub head: &'a [u8],
    /// The byte.
    pub offset: u64,
}

/// Reads one complete line. `None` when its room is not reported.
///
/// The line's bytes are what is sent. Only an id is added where there is none: it is made of the line's bytes and place,
/// so that reading the line again, or reading it from a copy of the file, gives the same id.
pub fn read(line: &[u8], place: Place<'_>, rooms: &Rooms) -> Option<NewItem> {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    match Label::parse(line) {
        Ok(label) if label.name != event::name::SOURCE_STARTED && !rooms.contains(label.room.as_str()) => {
            None
        }
        Ok(Label { id: Some(id), room, .. }) => Some(item(id, room.as_str(), place, line.to_vec())),
        Ok(Label { id: None, room, .. }) => {
            let id = EventId::of_line(place.head, place.offset, line);
            let body = with_id(line, &id);
            Some(item(id, room.as_str(), place, body))
        }
        Err(error) => Some(unreadable(line, line.len() as u64, place, &error.to_string())),
    }
}

/// Reads what a file ends with instead of a complete line: `rest`, or as much of its `length` as is looked at.
///
/// An object ends where it ends, with a line break or without, so what reads as an event is that event. Its file may have
/// been truncated just there after the whole line was delivered; by the id it is not stored again.
pub fn read_last(rest: &[u8], length: u64, place: Place<'_>, rooms: &Rooms) -> Option<NewItem> {
    let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
    if rest.trim_ascii().is_empty() {
        return None;
    }
    if length <= MAX_EVENT_BYTES as u64 {
        let read = read(rest, place, rooms);
        if read.as_ref().is_none_or(|item| item.parked.is_none()) {
            return read;
        }
    }
    Some(unreadable(rest, length, place, "its file ended in the middle of it"))
}

/// An item for a line that cannot be delivered: it is parked at once, with its bytes or their beginning.
pub fn unreadable(beginning: &[u8], length: u64, place: Place<'_>, why: &str) -> NewItem {
    let excerpt = &beginning[..beginning.len().min(EXCERPT)];
    NewItem {
        id: EventId::of_line(place.head, place.offset, excerpt),
        room: String::new(),
        kind: Kind::Unreadable,
        body: excerpt.to_vec(),
        offset: place.offset,
        parked: Some(format!("a line of {length} bytes is not an event: {why}")),
    }
}

fn item(id: EventId, room: &str, place: Place<'_>, body: Vec<u8>) -> NewItem {
    NewItem { id, room: room.to_owned(), kind: Kind::Event, body, offset: place.offset, parked: None }
}

/// The same object with `id` as its first member. The line is an object with members: its label was read.
fn with_id(line: &[u8], id: &EventId) -> Vec<u8> {
    let inside = line.iter().position(|byte| *byte == b'{').map_or(0, |at| at + 1);
    let mut body = Vec::with_capacity(line.len() + 48);
    body.extend_from_slice(b"{\"id\":\"");
    body.extend_from_slice(id.as_str().as_bytes());
    body.extend_from_slice(b"\",");
    body.extend_from_slice(&line[inside..]);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'static> = Place { head: b"head", offset: 7 };

    fn rooms() -> Rooms {
        Rooms::new(&["reflector-*".to_owned()])
    }

    #[test]
    fn a_line_is_sent_as_it_was_written() {
        let line = br#"{"id":"evt_1","event":"e","room":"Reflector-A@conference.x","timestamp":0}"#;
        let item = read(line, PLACE, &rooms()).unwrap();
        assert_eq!((item.id.as_str(), item.room.as_str()), ("evt_1", "reflector-a"));
        assert_eq!(item.body, line);
        assert_eq!((item.offset, item.parked), (7, None));
    }

    #[test]
    fn a_line_without_an_id_gets_one_from_its_bytes_and_place() {
        let line = br#" {"event":"e","room":"reflector-a","timestamp":0}"#;
        let (first, again) = (read(line, PLACE, &rooms()).unwrap(), read(line, PLACE, &rooms()).unwrap());
        assert_eq!(first, again);
        let elsewhere = read(line, Place { offset: 8, ..PLACE }, &rooms()).unwrap();
        assert_ne!(first.id, elsewhere.id);
        let sent = contract::event::Event::parse(&first.body).unwrap();
        assert_eq!(sent.id, first.id);
    }

    #[test]
    fn rooms_that_are_not_reported_go_no_further_but_a_new_boot_always_does() {
        let other = br#"{"id":"evt_1","event":"e","room":"standup","timestamp":0}"#;
        assert_eq!(read(other, PLACE, &rooms()), None);
        let boot = br#"{"id":"evt_2","event":"source-started","room":"conference.x","timestamp":0}"#;
        assert!(read(boot, PLACE, &rooms()).is_some());
    }

    #[test]
    fn what_is_not_an_event_is_parked_with_the_reason() {
        for (line, expected) in [
            (&b"nonsense"[..], "a line of 8 bytes is not an event: not valid JSON"),
            (b"{\"event\":\"\xff\"}", "a line of 13 bytes is not an event: not valid JSON"),
            (br#"{"event":"e""#, "a line of 12 bytes is not an event: not valid JSON: EOF"),
            (br#"{"event":"e"}"#, "a line of 13 bytes is not an event: missing field `room`"),
            (
                br#"{"id":null,"event":"e","room":"r"}"#,
                "a line of 34 bytes is not an event: invalid type: null",
            ),
        ] {
            let item = read(line, PLACE, &rooms()).unwrap();
            assert_eq!((item.kind, &item.body[..]), (Kind::Unreadable, line));
            assert!(item.parked.as_deref().unwrap().starts_with(expected), "{item:?}");
        }
    }
}
