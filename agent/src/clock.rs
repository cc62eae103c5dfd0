//! The one place where wall-clock time is read, and compared with the API's. Decisions take times as values.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;

/// How far the clocks may differ before it is said. Signatures are refused from five minutes on, so there is time to act.
const TOLERATED: Duration = Duration::from_mins(1);

/// Milliseconds since 1970. A clock set before 1970 reads as 0.
pub fn now_ms() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX)
}

/// `milliseconds` since 1970 as RFC 3339 in UTC.
pub fn rfc3339(milliseconds: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    contract::event::format_timestamp(time)
}

/// How far this host's clock is from the API's. Clones share what they learn, so that a wrong clock is said once.
#[derive(Clone, Default)]
pub struct ApiClock(Arc<Mutex<Learned>>);

#[derive(Default)]
struct Learned {
    offset_ms: Option<i64>,
    said: bool,
}

/// What is worth saying about the clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    TurnedWrong,
    TurnedRight,
}

impl ApiClock {
    /// The API said that it was `theirs` when it was `ours` here, give or take `give_or_take` (all in milliseconds).
    pub fn learn(&self, theirs: i64, ours: i64, give_or_take: i64) {
        let offset = ours.saturating_sub(theirs);
        let mut learned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        learned.offset_ms = Some(offset);
        let change = change(learned.said, offset, give_or_take);
        learned.said = match change {
            Change::Nothing => learned.said,
            Change::TurnedWrong => true,
            Change::TurnedRight => false,
        };
        drop(learned);
        match change {
            Change::Nothing => {}
            Change::TurnedWrong => tracing::warn!(
                offset_ms = offset,
                "this host's clock is {}: signatures are refused from five minutes on. Turn on time synchronisation (`timedatectl set-ntp true`), on the API's host too",
                in_words(offset)
            ),
            Change::TurnedRight => {
                tracing::info!(offset_ms = offset, "this host's clock agrees with the API's");
            }
        }
    }

    /// By how many milliseconds this host's clock is ahead of the API's; `None` until the API has told its time.
    pub fn offset_ms(&self) -> Option<i64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).offset_ms
    }
}

/// Whether a measured offset is news. A measurement counts as wrong only as far as it is certain.
fn change(said: bool, offset: i64, give_or_take: i64) -> Change {
    let tolerated = i64::try_from(TOLERATED.as_millis()).unwrap_or(i64::MAX);
    let certainly = offset.saturating_abs().saturating_sub(give_or_take.max(0));
    match said {
        false if certainly > tolerated => Change::TurnedWrong,
        // Not at the same edge, or a clock that is just there would be said every time.
        true if offset.saturating_abs() < tolerated / 2 => Change::TurnedRight,
        _ => Change::Nothing,
    }
}

/// `83 s behind the API's`, `2 h 5 min ahead of the API's`.
pub fn in_words(offset_ms: i64) -> String {
    let seconds = offset_ms.unsigned_abs() / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    let amount = match (days, hours, minutes) {
        (0, 0, 0..=9) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (1, _, _) => format!("1 day {hours} h"),
        _ => format!("{days} days"),
    };
    format!("{amount} {} the API's", if offset_ms < 0 { "behind" } else { "ahead of" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_clock_is_said_once_and_once_when_it_is_right_again() {
        for (said, offset, give_or_take, expected) in [
            (false, 0, 0, Change::Nothing),
            (false, 60_000, 0, Change::Nothing),
            (false, 60_001, 0, Change::TurnedWrong),
            (false, -60_001, 0, Change::TurnedWrong),
            (false, -90_000, 30_000, Change::Nothing),
            (false, i64::MIN, i64::MAX, Change::Nothing),
            (true, -7_200_000, 0, Change::Nothing),
            (true, 59_000, 0, Change::Nothing),
            (true, 29_000, 0, Change::TurnedRight),
        ] {
            assert_eq!(change(said, offset, give_or_take), expected, "{said} {offset} {give_or_take}");
        }
    }

    #[test]
    fn an_offset_is_said_in_units_that_people_use() {
        for (offset, expected) in [
            (-83_400, "83 s behind the API's"),
            (600_000, "10 min ahead of the API's"),
            (-7_500_000, "2 h 5 min behind the API's"),
            (90_000_000, "1 day 1 h ahead of the API's"),
            (-31_536_000_000, "365 days behind the API's"),
        ] {
            assert_eq!(in_words(offset), expected);
        }
    }
}
