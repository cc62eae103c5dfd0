//! When a meeting begins and ends by itself.
//!
//! What is looked at is who is there now, and what the last look found. A meeting begins when somebody is seen in it and ends when
//! nobody has been there for a while; one that nobody ever came to ends with the time that it was made for. Whoever is inside keeps it
//! alive beyond that.

use time::{Duration, OffsetDateTime};

/// How long after its time a meeting ends although somebody seems to be in it: a host that is gone for good tells of no leaving.
const FORGOTTEN: Duration = Duration::hours(24);

/// How long after a meeting's time Whereby tells who comes and goes. After that it tells nothing, also when the last have left.
const TOLD: Duration = Duration::hours(1);

/// How long what it then answers is good for: a question is dear.
const ANSWER: Duration = Duration::minutes(10);

/// Whether at `now` Whereby is to be asked who is in a meeting that was made to last until `end_date`, because what it told counts for
/// nothing any more. It was asked at `asked_at`.
pub fn is_to_be_asked(
    end_date: OffsetDateTime,
    asked_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
) -> bool {
    now - end_date >= TOLD && asked_at.is_none_or(|asked_at| now - asked_at >= ANSWER)
}

/// Why a meeting ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedReason {
    /// Nobody has been in it for the grace time.
    Empty,
    /// Its time was over, and nobody was in it.
    Expired,
}

impl EndedReason {
    /// The reason's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Expired => "expired",
        }
    }
}

/// What one look at a meeting finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attendance {
    /// Whether anybody was ever there.
    pub ever: bool,
    /// Whether somebody is there now.
    pub now: bool,
}

/// How far a meeting is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Course {
    /// When somebody was first seen in it.
    pub started_at: Option<OffsetDateTime>,
    /// Since when nobody is, who was.
    pub empty_since: Option<OffsetDateTime>,
    /// Why it ended.
    pub ended: Option<EndedReason>,
}

impl Course {
    /// The course after a look at `now` that found `attendance`, of a meeting that was made to last until `end_date`.
    #[must_use]
    pub fn after(
        self,
        attendance: Attendance,
        end_date: OffsetDateTime,
        now: OffsetDateTime,
        grace: Duration,
    ) -> Self {
        let was_there = attendance.ever || attendance.now || self.started_at.is_some();
        let started_at = self.started_at.or(was_there.then_some(now));
        let is_empty = was_there && !attendance.now;
        let empty_since = if is_empty { self.empty_since.or(Some(now)) } else { None };
        let ended = if empty_since.is_some_and(|since| now - since >= grace) {
            Some(EndedReason::Empty)
        } else if (!was_there && now >= end_date) || now - end_date >= FORGOTTEN {
            Some(EndedReason::Expired)
        } else {
            None
        };
        Self { started_at, empty_since, ended }
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const END: OffsetDateTime = datetime!(2026-01-01 12:00 UTC);
    const GRACE: Duration = Duration::minutes(1);
    const NEVER: Attendance = Attendance { ever: false, now: false };
    const THERE: Attendance = Attendance { ever: true, now: true };
    const GONE: Attendance = Attendance { ever: true, now: false };

    /// So many seconds after the meeting's time.
    fn at(seconds: i64) -> OffsetDateTime {
        END + Duration::seconds(seconds)
    }

    fn course(started: Option<i64>, empty: Option<i64>, ended: Option<EndedReason>) -> Course {
        Course { started_at: started.map(at), empty_since: empty.map(at), ended }
    }

    #[test]
    fn a_meeting_begins_with_the_first_and_ends_a_while_after_the_last() {
        let (empty, expired) = (Some(EndedReason::Empty), Some(EndedReason::Expired));
        for (what, before, attendance, now, expected) in [
            ("nobody came yet", course(None, None, None), NEVER, -100, course(None, None, None)),
            ("the first came", course(None, None, None), THERE, -100, course(Some(-100), None, None)),
            (
                "somebody is there",
                course(Some(-200), None, None),
                THERE,
                -100,
                course(Some(-200), None, None),
            ),
            (
                "the last went",
                course(Some(-200), None, None),
                GONE,
                -100,
                course(Some(-200), Some(-100), None),
            ),
            ("came and went", course(None, None, None), GONE, -100, course(Some(-100), Some(-100), None)),
            (
                "within the grace",
                course(Some(-200), Some(-100), None),
                GONE,
                -41,
                course(Some(-200), Some(-100), None),
            ),
            (
                "after the grace",
                course(Some(-200), Some(-100), None),
                GONE,
                -40,
                course(Some(-200), Some(-100), empty),
            ),
            ("came back", course(Some(-200), Some(-100), None), THERE, -41, course(Some(-200), None, None)),
            (
                "came back late",
                course(Some(-200), Some(-100), None),
                THERE,
                50,
                course(Some(-200), None, None),
            ),
            ("nobody came until the end", course(None, None, None), NEVER, -1, course(None, None, None)),
            ("nobody came at all", course(None, None, None), NEVER, 0, course(None, None, expired)),
            (
                "inside beyond the end",
                course(Some(-200), None, None),
                THERE,
                0,
                course(Some(-200), None, None),
            ),
            (
                "left beyond the end",
                course(Some(-200), Some(10), None),
                GONE,
                69,
                course(Some(-200), Some(10), None),
            ),
            (
                "seems to be inside for a day",
                course(Some(-200), None, None),
                THERE,
                86_399,
                course(Some(-200), None, None),
            ),
            (
                "seems to be inside for ever",
                course(Some(-200), None, None),
                THERE,
                86_400,
                course(Some(-200), None, expired),
            ),
            (
                "a platform forgot who came",
                course(Some(-200), None, None),
                NEVER,
                -100,
                course(Some(-200), Some(-100), None),
            ),
        ] {
            assert_eq!(before.after(attendance, END, at(now), GRACE), expected, "{what}");
        }
    }

    #[test]
    fn whereby_is_asked_from_an_hour_after_the_end_and_not_all_the_time() {
        for (asked_at, now, expected) in [
            (None, 3599, false),
            (None, 3600, true),
            (Some(3600), 4199, false),
            (Some(3600), 4200, true),
            (Some(-100), 3599, false),
        ] {
            assert_eq!(is_to_be_asked(END, asked_at.map(at), at(now)), expected, "{asked_at:?} {now}");
        }
    }

    #[test]
    fn without_grace_a_meeting_ends_when_it_is_seen_empty() {
        let after = course(Some(-200), None, None).after(GONE, END, at(-100), Duration::ZERO);
        assert_eq!(after.ended, Some(EndedReason::Empty));
    }
}
