//! Numbers and times as people read them.

use std::fmt::{self, Display};

use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime, UtcOffset};

const DAY_AND_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
const MACHINE: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
const TIME: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]");
const EXACT_TIME: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second]");

/// A moment, shown as how long ago it was; the exact time is in its title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    at: OffsetDateTime,
    text: String,
}

impl When {
    /// `at`, as seen from `now`.
    pub(super) fn ago(at: OffsetDateTime, now: OffsetDateTime) -> Self {
        Self { at, text: ago(now - at) }
    }

    /// `at` by the clock.
    pub(super) fn exact(at: OffsetDateTime) -> Self {
        Self { at, text: format(at, DAY_AND_TIME) }
    }

    /// The time of day of `at`.
    pub(super) fn clock(at: OffsetDateTime) -> Self {
        Self { at, text: format(at, EXACT_TIME) }
    }
}

/// As an element of HTML. Nothing in it comes from outside.
impl Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (machine, full) = (format(self.at, MACHINE), format(self.at, DAY_AND_TIME));
        write!(f, r#"<time datetime="{machine}" title="{full}">{}</time>"#, self.text)
    }
}

impl askama::filters::HtmlSafe for When {}

fn format(at: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    at.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

/// The time of day: hours and minutes, with the seconds where they tell something.
pub(super) fn time_of_day(at: OffsetDateTime, is_exact: bool) -> String {
    format(at, if is_exact { EXACT_TIME } else { TIME })
}

fn ago(distance: Duration) -> String {
    let seconds = distance.whole_seconds();
    match seconds {
        ..=-60 => format!("in {}", span(-distance)),
        -59..=0 => "just now".to_owned(),
        _ => format!("{} ago", span(distance)),
    }
}

/// A length of time in its two largest units at most.
pub(super) fn span(length: Duration) -> String {
    let seconds = length.whole_seconds().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600, seconds / 60);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..36_000 => format!("{hours} h {:02} min", minutes % 60),
        36_000..172_800 => format!("{hours} h"),
        _ => format!("{days} days"),
    }
}

/// A size in decimal units, as disks are sold.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut unit = 0;
    let mut tenths = bytes / 100;
    while tenths >= 10_000 && unit + 1 < UNITS.len() {
        tenths /= 1000;
        unit += 1;
    }
    if tenths < 100 {
        format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
    } else {
        format!("{} {}", tenths / 10, UNITS[unit])
    }
}

/// A number with its thousands apart.
pub(super) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            // A narrow space that does not break.
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `one` or `many` of them.
pub(super) fn plural(number: i64, one: &str, many: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{} {many}", count(number)) }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_is_told_by_its_distance() {
        let now = datetime!(2026-01-31 10:30 UTC);
        for (seconds, expected) in [
            (-3600, "in 1 h 00 min"),
            (-2, "just now"),
            (0, "just now"),
            (59, "59 s ago"),
            (61, "1 min ago"),
            (3 * 3600 + 120, "3 h 02 min ago"),
            (36 * 3600, "36 h ago"),
            (3 * 86_400, "3 days ago"),
        ] {
            let when = When::ago(now - Duration::seconds(seconds), now).to_string();
            assert!(when.ends_with(&format!(">{expected}</time>")), "{seconds}: {when}");
        }
        assert_eq!(
            When::exact(now).to_string(),
            r#"<time datetime="2026-01-31T10:30:00Z" title="2026-01-31 10:30:00 UTC">2026-01-31 10:30:00 UTC</time>"#
        );
    }

    #[test]
    fn sizes_and_numbers_are_short() {
        for (bytes, expected) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1500, "1.5 kB"),
            (99_999, "99 kB"),
            (1_234_567, "1.2 MB"),
            (45_600_000_000, "45 GB"),
            (u64::MAX, "18446 PB"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
        assert_eq!(count(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!((count(999).as_str(), count(-1000).as_str()), ("999", "-1\u{202f}000"));
        assert_eq!(
            (plural(1, "item", "items").as_str(), plural(0, "item", "items").as_str()),
            ("1 item", "0 items")
        );
    }
}
