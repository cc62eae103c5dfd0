//! Where a recording is: one state machine for both platforms.
//!
//! Hosts, platforms, the storage's notifications, scans of the bucket and our own removals speak of a recording in any order, late, and
//! more than once. So a transition only ever moves one of four moments one way, and the state is read from the four together.

use time::OffsetDateTime;

/// Where a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// On the host that recorded it.
    OnHost,
    /// In an object storage, as its host or its platform says. Nobody has looked.
    Announced,
    /// In the object storage.
    Stored,
    /// Not where it was to be. It is found again if it turns up.
    Missing,
    /// Removed by this service, for good.
    Deleted,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::OnHost, Self::Announced, Self::Stored, Self::Missing, Self::Deleted];

    /// The state's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnHost => "on_host",
            Self::Announced => "announced",
            Self::Stored => "stored",
            Self::Missing => "missing",
            Self::Deleted => "deleted",
        }
    }
}

/// Why this service removed a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeletedReason {
    /// It was kept for as long as recordings are to be kept.
    Retention,
    /// Somebody in the meeting did not agree to be recorded.
    Consent,
}

impl DeletedReason {
    /// The reason's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Consent => "consent",
        }
    }
}

/// What is learned of a recording, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Host or platform says that there is an object.
    Announced(OffsetDateTime),
    /// The storage holds the object: an upload was verified, a notification came, a scan saw it.
    Found(OffsetDateTime),
    /// The storage does not hold it.
    Missed(OffsetDateTime),
    /// This service has removed it.
    Deleted(OffsetDateTime),
}

/// All that is known of where a recording is. A new one is on its host.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The first announcement.
    pub announced_at: Option<OffsetDateTime>,
    /// The latest sight.
    pub found_at: Option<OffsetDateTime>,
    /// The latest look in vain.
    pub missed_at: Option<OffsetDateTime>,
    /// The first removal.
    pub deleted_at: Option<OffsetDateTime>,
}

impl Whereabouts {
    /// The same once `fact` is known, too.
    #[must_use]
    pub fn after(self, fact: Fact) -> Self {
        match fact {
            Fact::Announced(at) => Self { announced_at: Some(earliest(self.announced_at, at)), ..self },
            Fact::Found(at) => Self { found_at: self.found_at.max(Some(at)), ..self },
            Fact::Missed(at) => Self { missed_at: self.missed_at.max(Some(at)), ..self },
            Fact::Deleted(at) => Self { deleted_at: Some(earliest(self.deleted_at, at)), ..self },
        }
    }

    /// The state that these moments make.
    pub fn state(self) -> State {
        if self.deleted_at.is_some() {
            State::Deleted
        } else if self.found_at.is_some() && self.found_at >= self.missed_at {
            State::Stored
        } else if self.missed_at.is_some() {
            State::Missing
        } else if self.announced_at.is_some() {
            State::Announced
        } else {
            State::OnHost
        }
    }
}

fn earliest(known: Option<OffsetDateTime>, at: OffsetDateTime) -> OffsetDateTime {
    known.map_or(at, |known| known.min(at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::Duration;
    use time::macros::datetime;

    use super::*;

    fn at(second: i64) -> OffsetDateTime {
        datetime!(2026-01-01 12:00 UTC) + Duration::seconds(second)
    }

    fn after(facts: &[Fact]) -> Whereabouts {
        facts.iter().fold(Whereabouts::default(), |known, fact| known.after(*fact))
    }

    #[test]
    fn a_recording_is_where_it_was_seen_last_until_it_is_removed_for_good() {
        let (announced, found, missed, deleted) =
            (Fact::Announced(at(1)), Fact::Found(at(2)), Fact::Missed(at(3)), Fact::Deleted(at(4)));
        for (facts, expected) in [
            (vec![], State::OnHost),
            (vec![announced], State::Announced),
            (vec![announced, found], State::Stored),
            (vec![found], State::Stored),
            (vec![announced, missed], State::Missing),
            (vec![announced, found, missed], State::Missing),
            (vec![found, missed, Fact::Found(at(9))], State::Stored),
            (vec![Fact::Found(at(3)), missed], State::Stored),
            (vec![found, deleted], State::Deleted),
            (vec![found, deleted, Fact::Found(at(9))], State::Deleted),
            (vec![missed, deleted], State::Deleted),
        ] {
            assert_eq!(after(&facts).state(), expected, "{facts:?}");
        }
    }

    fn any_fact() -> impl Strategy<Value = Fact> {
        (0..4, 0..4i64).prop_map(|(kind, second)| match kind {
            0 => Fact::Announced(at(second)),
            1 => Fact::Found(at(second)),
            2 => Fact::Missed(at(second)),
            _ => Fact::Deleted(at(second)),
        })
    }

    proptest! {
        #[test]
        fn the_state_does_not_depend_on_the_order_of_facts_nor_on_repetition(
            facts in prop::collection::vec(any_fact(), 0..6), seed in any::<u64>(),
        ) {
            let mut others = [facts.clone(), facts.clone()].concat();
            fastrand::Rng::with_seed(seed).shuffle(&mut others);
            prop_assert_eq!(after(&facts), after(&others));
        }
    }
}
