//! Who is next: a queue in which everybody has a time before which it is not his turn.

use std::collections::BTreeMap;

use tokio::time::Instant;

/// Turns by the time from which they are due; those of the same time in the order in which they lined up.
///
/// Whoever had his turn and lines up again stands behind everybody who has been due since before: so a large file and
/// small ones take turns.
#[derive(Debug)]
pub(super) struct Line<T> {
    turns: BTreeMap<(Instant, u64), T>,
    tickets: u64,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self { turns: BTreeMap::new(), tickets: 0 }
    }
}

impl<T> Line<T> {
    /// Lines up; not to be called before `due`.
    pub(super) fn push(&mut self, due: Instant, turn: T) {
        self.turns.insert((due, self.tickets), turn);
        self.tickets += 1;
    }

    /// Makes it everybody's turn from `now` on, in the order in which they stand.
    pub(super) fn wake_all(&mut self, now: Instant) {
        let turns = std::mem::take(&mut self.turns);
        self.turns = turns.into_iter().map(|((due, ticket), turn)| ((due.min(now), ticket), turn)).collect();
    }

    /// Whose turn it is at `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<T> {
        if self.has_turn(now) { self.turns.pop_first().map(|(_, turn)| turn) } else { None }
    }

    /// Whether it is anybody's turn at `now`.
    pub(super) fn has_turn(&self, now: Instant) -> bool {
        self.next_due().is_some_and(|due| due <= now)
    }

    /// When it will be somebody's turn.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.turns.first_key_value().map(|((due, _), _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn turns_are_taken_by_time_and_then_by_arrival() {
        let now = Instant::now();
        let second = |n| now + Duration::from_secs(n);
        let mut line = Line::default();
        for (due, name) in [(1, "late"), (0, "first"), (0, "second")] {
            line.push(second(due), name);
        }
        assert_eq!((line.pop(now), line.pop(now), line.pop(now)), (Some("first"), Some("second"), None));
        assert_eq!(line.next_due(), Some(second(1)));
        assert_eq!(line.pop(second(1)), Some("late"));
    }

    #[test]
    fn who_is_woken_goes_before_whoever_comes_later() {
        let now = Instant::now();
        let minute = Duration::from_mins(1);
        let mut line = Line::default();
        line.push(now + minute, "first");
        line.push(now + minute, "second");
        line.wake_all(now);
        line.push(now, "third");
        assert_eq!(
            (line.pop(now), line.pop(now), line.pop(now)),
            (Some("first"), Some("second"), Some("third"))
        );
    }

    #[test]
    fn who_lines_up_again_lets_the_others_go_first() {
        let now = Instant::now();
        let mut line = Line::default();
        line.push(now, "large");
        line.push(now + Duration::from_secs(1), "small");
        let large = line.pop(now).unwrap();
        line.push(now + Duration::from_secs(2), large);
        let later = now + Duration::from_secs(3);
        assert_eq!((line.pop(later), line.pop(later)), (Some("small"), Some("large")));
    }
}
