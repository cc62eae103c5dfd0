//! Until when it counts whether somebody agrees to be recorded.

use time::{Duration, OffsetDateTime};

/// How long after a meeting's end answers count.
///
/// People are asked when they come in, so whoever is asked as the meeting ends has time to answer. For much longer an answer must not
/// count: a denial removes recordings for good, and needs no more than the meeting's id.
pub const GRACE: Duration = Duration::minutes(15);

/// Whether an answer at `now` counts in a meeting that ended then, or has not.
pub fn counts(ended_at: Option<OffsetDateTime>, now: OffsetDateTime) -> bool {
    ended_at.is_none_or(|ended_at| now < ended_at + GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn an_answer_counts_until_shortly_after_the_end() {
        let end = datetime!(2026-03-01 10:00 UTC);
        for (ended_at, now, expected) in [
            (None, end + Duration::days(2), true),
            (Some(end), end - Duration::minutes(1), true),
            (Some(end), end, true),
            (Some(end), end + Duration::minutes(15) - Duration::microseconds(1), true),
            (Some(end), end + Duration::minutes(15), false),
            (Some(end), end + Duration::days(300), false),
        ] {
            assert_eq!(counts(ended_at, now), expected, "{ended_at:?} {now}");
        }
    }
}
