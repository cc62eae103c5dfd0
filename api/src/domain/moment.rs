//! When something was said, by which boot of its source, and which of two statements is later.

use contract::event::Event;
use time::OffsetDateTime;

/// The longest text that serves as a part of a key, in bytes: the limit of an XMPP address part (RFC 7622), and well below what
/// a Postgres index takes.
const MAX_KEY_BYTES: usize = 1023;

/// A place in a source's order: its clock first, then its sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// The source's clock, in whole microseconds as Postgres keeps them.
    pub at: OffsetDateTime,
    /// The sequence number within the boot; `None`, which is before all numbers, for sources without one.
    pub seq: Option<i64>,
}

/// One statement: a moment and the text that goes with it. Of two at the same moment the greater text counts as later, so that
/// the outcome never depends on the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Statement {
    /// When it was said.
    pub moment: Moment,
    /// A boot id, a reason.
    pub text: Option<String>,
}

/// One start of a source of events. What earlier boots of the same source left open ended with it.
///
/// Lists of boots are in the order in which they were stored, and that tells which of two is the later one: a source's clock may step
/// back across a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The boot's id.
    pub boot_id: String,
    /// The source.
    pub source: String,
    /// When it started.
    pub started_at: OffsetDateTime,
}

impl Moment {
    /// When `event` happened.
    pub fn of(event: &Event) -> Self {
        let seq = event.data.get("seq").and_then(serde_json::Value::as_i64).filter(|seq| *seq >= 0);
        Self { at: whole_microseconds(event.timestamp), seq }
    }
}

impl Statement {
    /// `text` at `moment`.
    pub fn new(moment: Moment, text: Option<&str>) -> Self {
        Self { moment, text: text.map(ToOwned::to_owned) }
    }
}

impl Boot {
    /// When what `opening` began, in the boot that it names, ended because its source started again; never before it began. `None`
    /// while that boot is its source's latest, or is not known.
    pub fn superseded_at(boots: &[Self], opening: &Statement) -> Option<OffsetDateTime> {
        let boot_id = opening.text.as_deref()?;
        let mut from_then_on = boots.iter().skip_while(|boot| boot.boot_id != boot_id);
        let boot = from_then_on.next()?;
        let next = from_then_on.find(|other| other.source == boot.source)?;
        Some(next.started_at.max(opening.moment.at))
    }
}

/// `time` in UTC, cut to the precision of the database, so that what is compared here compares the same there.
pub fn whole_microseconds(time: OffsetDateTime) -> OffsetDateTime {
    let utc = time.to_offset(time::UtcOffset::UTC);
    utc.replace_nanosecond(utc.nanosecond() / 1000 * 1000).unwrap_or(utc)
}

/// `text`, cut to what a key may hold.
pub(super) fn bounded(text: &str) -> String {
    text[..text.floor_char_boundary(MAX_KEY_BYTES)].to_owned()
}
