//! Event lines as Prosody's module writes them, about 370 bytes each, with ids that are unique in a run.

use contract::event::format_timestamp;
use time::OffsetDateTime;

/// One event, as a spool line without its line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The event's id.
    pub id: String,
    /// The event's room.
    pub room: String,
    /// The whole line.
    pub text: String,
}

/// An endless supply of lines that go round the rooms in turn. In each room one occupant after the other joins and
/// leaves; supplies with different seeds have different occupants.
#[derive(Debug, Clone)]
pub struct Lines {
    boot_id: String,
    rooms: Vec<String>,
    occupants: u64,
    next: u64,
}

impl Lines {
    /// Lines for the given rooms. Two supplies with different seeds never share an id.
    pub fn new(seed: u64, rooms: Vec<String>) -> Self {
        Self { boot_id: format!("{:020x}", u128::from(seed) << 16), rooms, occupants: seed << 32, next: 0 }
    }

    /// Lines for `count` rooms named after the seed, so that two supplies do not share a room either.
    pub fn in_rooms(seed: u64, count: usize) -> Self {
        Self::new(seed, (0..count).map(|n| format!("reflector-load-{seed:x}-{n}")).collect())
    }

    /// The rooms that the lines go round.
    pub fn rooms(&self) -> &[String] {
        &self.rooms
    }

    /// The next line, dated `now`.
    ///
    /// # Panics
    /// When the supply was made without rooms.
    pub fn next_at(&mut self, now: OffsetDateTime) -> Line {
        let seq = self.next + 1;
        let turn =
            usize::try_from(self.next % self.rooms.len() as u64).expect("a remainder of a length fits");
        let room = &self.rooms[turn];
        let round = self.next / self.rooms.len() as u64;
        let event = if round.is_multiple_of(2) { "joined" } else { "left" };
        self.next = seq;
        let id = format!("evt_{}{seq:08x}", self.boot_id);
        let text = format!(
            "{{\"id\":\"{id}\",\"event\":\"muc-occupant-{event}\",\"room\":\"{room}\",\"timestamp\":\"{time}\",\
             \"data\":{{\"occupant_id\":\"{occupant:016x}\",\"user_id\":\"0190b7c2-7d1e-7c3a-9a55-3f0c5d2e8b41\",\
             \"display_name\":\"John Doe\",\"role\":\"participant\",\"affiliation\":\"member\",\"kind\":\"human\",\
             \"boot_id\":\"{boot}\",\"seq\":{seq}}}}}",
            time = format_timestamp(now),
            occupant = self.occupants | (round / 2),
            boot = self.boot_id,
        );
        Line { id, room: room.clone(), text }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_line_is_an_event_of_the_contract_with_an_id_of_its_own() {
        let mut lines = Lines::in_rooms(7, 3);
        let mut ids = HashSet::new();
        for n in 0..12 {
            let line = lines.next_at(OffsetDateTime::UNIX_EPOCH);
            let event = contract::event::Event::parse(line.text.as_bytes()).unwrap();
            assert_eq!((event.id.as_str(), event.room.as_str()), (line.id.as_str(), line.room.as_str()));
            assert_eq!(line.room, lines.rooms()[n % 3]);
            assert!((350..400).contains(&line.text.len()), "{} bytes", line.text.len());
            assert!(ids.insert(line.id));
        }
    }
}
