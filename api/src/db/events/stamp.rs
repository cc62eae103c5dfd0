//! A text with its moment before it, so that the database tells the later of two with its own `GREATEST`.
//!
//! `2025-01-15T10:30:00.123456Z 0000000000000000007 Ann`: time, sequence number, text. What is missing is blank, and blanks come
//! before digits.

use time::format_description::StaticFormatDescription;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::domain::moment::Moment;
use crate::domain::presence::Told;

const TIME: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// The length of the time, in bytes.
const TIME_BYTES: usize = 27;

/// The digits of the largest sequence number.
const SEQ_DIGITS: usize = 19;

/// The length of all that stands before the text, in bytes.
const STAMP_BYTES: usize = TIME_BYTES + 1 + SEQ_DIGITS + 1;

/// `told` as the database keeps it.
pub fn stamped(told: &Told) -> String {
    let mut stamped = String::with_capacity(STAMP_BYTES + told.text.len());
    match told.moment {
        Some(moment) => push_time(&mut stamped, moment.at),
        None => push_blanks(&mut stamped, TIME_BYTES),
    }
    stamped.push(' ');
    match told.moment.and_then(|moment| moment.seq) {
        Some(seq) => push_digits(&mut stamped, seq.unsigned_abs(), SEQ_DIGITS),
        None => push_blanks(&mut stamped, SEQ_DIGITS),
    }
    stamped.push(' ');
    stamped.push_str(&told.text);
    stamped
}

/// [`TIME`] by hand: every event is stamped several times, and the general way costs ten times as much.
fn push_time(text: &mut String, at: OffsetDateTime) {
    for (before, value, width) in [
        ("", at.year().unsigned_abs(), 4),
        ("-", u8::from(at.month()).into(), 2),
        ("-", at.day().into(), 2),
        ("T", at.hour().into(), 2),
        (":", at.minute().into(), 2),
        (":", at.second().into(), 2),
        (".", at.microsecond(), 6),
    ] {
        text.push_str(before);
        push_digits(text, value.into(), width);
    }
    text.push('Z');
}

/// The last `width` digits of `value`.
fn push_digits(text: &mut String, value: u64, width: usize) {
    let mut rest = value;
    let mut digits = [b'0'; SEQ_DIGITS];
    for digit in digits[..width].iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
    }
    text.extend(digits[..width].iter().map(|digit| char::from(*digit)));
}

fn push_blanks(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n(' ', count));
}

/// What [`stamped`] made of it; `None` for a text that is no such thing.
pub fn read(stamped: &str) -> Option<Told> {
    let (stamp, text) = stamped.split_at_checked(STAMP_BYTES)?;
    let (at, seq) = stamp.split_at_checked(TIME_BYTES)?;
    let at = PrimitiveDateTime::parse(at, TIME).ok().map(PrimitiveDateTime::assume_utc);
    let moment = at.map(|at: OffsetDateTime| Moment { at, seq: seq.trim().parse().ok() });
    Some(Told { moment, text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn stamped_texts_sort_like_what_was_told_and_can_be_read() {
        let told = |moment, text: &str| Told { moment, text: text.to_owned() };
        let at = |at, seq| Some(Moment { at, seq });
        let early = datetime!(0001-01-01 00:00 UTC);
        let late = datetime!(2025-01-15 10:30:00.123456 UTC);
        let in_order = [
            told(None, "a"),
            told(None, "b"),
            told(at(early, None), "z"),
            told(at(late, None), ""),
            told(at(late, Some(0)), "z"),
            told(at(late, Some(9)), "Ann"),
            told(at(late, Some(9)), "Zoë"),
            told(at(late, Some(i64::MAX)), " 10:00"),
        ];
        for pair in in_order.windows(2) {
            assert!(pair[0] < pair[1] && stamped(&pair[0]) < stamped(&pair[1]), "{pair:?}");
        }
        for told in in_order {
            assert_eq!(read(&stamped(&told)), Some(told));
        }
        assert_eq!(read("2025"), None);
    }
}
