//! Times and durations as people write them on a command line.

use std::time::Duration;

use time::format_description::well_known::{Iso8601, Rfc3339};
use time::{Date, OffsetDateTime, Time};

/// A point in time, in the words of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// So long before now.
    Ago(Duration),
    /// In milliseconds since 1970.
    At(i64),
}

impl Moment {
    /// In milliseconds since 1970, when it is `now`.
    pub(super) fn at(self, now: i64) -> i64 {
        match self {
            Self::Ago(ago) => now.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)),
            Self::At(at) => at,
        }
    }
}

/// Reads `2026-01-31T10:00:00Z`, `2026-01-31` (its first moment, in UTC) or `2h` (two hours ago).
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    let at =
        |time: OffsetDateTime| i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX);
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return Ok(Moment::At(at(time)));
    }
    // The parser of dates leaves a time of day alone.
    if !text.contains('T')
        && let Ok(date) = Date::parse(text, &Iso8601::DATE)
    {
        return Ok(Moment::At(at(date.with_time(Time::MIDNIGHT).assume_utc())));
    }
    let ago = duration(text).map_err(|_| {
        "write a time in UTC (2026-01-31T10:00:00Z, 2026-01-31) or how long ago (30min, 2h, 3d)".to_owned()
    })?;
    Ok(Moment::Ago(ago))
}

/// Reads `90`, `90s`, `15min`, `2h`, `3d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "" | "s" => Some(1),
        "m" | "min" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let seconds = seconds.zip(number.parse::<u64>().ok()).and_then(|(unit, number)| number.checked_mul(unit));
    match seconds {
        // A century: beyond it is a slip of the pen, and clocks overflow.
        Some(seconds) if seconds <= 3_155_760_000 => Ok(Duration::from_secs(seconds)),
        _ => Err("write a whole number and a unit: 90s, 15min, 2h, 3d".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, expected) in [
            ("90", Some(90)),
            ("90s", Some(90)),
            ("15min", Some(900)),
            ("15m", Some(900)),
            ("2h", Some(7200)),
            ("3d", Some(259_200)),
            ("0", Some(0)),
            ("", None),
            ("h", None),
            ("-1h", None),
            ("1.5h", None),
            ("1 h", None),
            ("99999999999999999999d", None),
            ("9999999999d", None),
        ] {
            assert_eq!(duration(text).ok(), expected.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_time_a_day_or_an_age() {
        let now = 1_769_853_600_000; // 2026-01-31T10:00:00Z
        for (text, expected) in [
            ("2026-01-31T10:00:00Z", Some(now)),
            ("2026-01-31T11:00:00.5+01:00", Some(now + 500)),
            ("2026-01-31", Some(now - 36_000_000)),
            ("2h", Some(now - 7_200_000)),
            ("yesterday", None),
            ("2026-01-31T10:00", None),
        ] {
            assert_eq!(moment(text).ok().map(|moment| moment.at(now)), expected, "{text}");
        }
    }
}
