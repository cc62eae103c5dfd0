//! Which rooms are reported: a Jitsi host may serve many, and only some are Reflector's.

use wildmatch::WildMatch;

/// Which rooms are reported.
#[derive(Debug, Clone)]
pub struct Rooms(Vec<WildMatch>);

impl Rooms {
    /// Rooms that match one of `patterns` (`*` and `?`).
    pub fn new(patterns: &[String]) -> Self {
        Self(patterns.iter().map(|pattern| WildMatch::new(&pattern.to_lowercase())).collect())
    }

    /// Whether this room is reported.
    pub fn contains(&self, room: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_is_reported_when_a_pattern_matches_it_whole() {
        let rooms = Rooms::new(&["reflector-*".to_owned(), "Board".to_owned()]);
        for (room, expected) in
            [("reflector-a", true), ("board", true), ("boardroom", false), ("my-reflector-a", false)]
        {
            assert_eq!(rooms.contains(room), expected, "{room}");
        }
        assert!(Rooms::new(&["*".to_owned()]).contains("anything"));
    }
}
