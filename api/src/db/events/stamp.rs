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

/// The length of all that stands before the text, in bytes.
const STAMP_BYTES: usize = TIME_BYTES + 1 + 19 + 1;

/// `told` as the database keeps it.
pub fn stamped(told: &Told) -> String {
    let at = told.moment.and_then(|moment| moment.at.format(TIME).ok()).unwrap_or_default();
    let seq = told.moment.and_then(|moment| moment.seq).map(|seq| format!("{seq:019}")).unwrap_or_default();
    format!("{at:TIME_BYTES$} {seq:19} {}", told.text)
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
