//! Presence: who was in a meeting, folded from events.
//!
//! Every event says at most a few things about one occupant ([`Sighting`]). Sightings are joined by [`Occupant::merge`],
//! which keeps the latest of each kind of statement. Merging is commutative, associative and idempotent, so the result is the
//! same in whatever order and however often events arrive; nothing is counted. What a reader wants to know, whether somebody is
//! still there and since when, is derived from the merged statements and the boots of their source ([`Occupant::stay`]).

use contract::event::{Event, name};
use time::OffsetDateTime;

use super::moment::{Boot, Moment, Statement, bounded};

/// The part of a meeting that an occupant was seen in, and under which id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OccupantKey {
    /// `occupant_id`, else `user_id`, else `nick`: whichever the event has first.
    pub occupant_id: String,
    /// The breakout room; empty for the meeting's main room. Somebody who moves between the two leaves one and joins the
    /// other, and the two rooms' events have no common order.
    pub breakout_room_id: String,
}

/// What one event says about one occupant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Whom it speaks of.
    pub key: OccupantKey,
    /// What it says.
    pub occupant: Occupant,
}

/// Everything that is known of one occupant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occupant {
    /// When the occupant joined first.
    pub first_join_at: Option<OffsetDateTime>,
    /// The latest join, with the boot of the source that saw it.
    pub last_join: Option<Statement>,
    /// The latest leave, with its reason.
    pub last_left: Option<Statement>,
    /// The latest description.
    pub description: Description,
}

/// How an occupant was described, and when.
///
/// A leave describes without a time: it may tell a name that no join told, but never replaces what a join or an update said.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Description {
    /// When; `None` for what a leave said and for no description at all.
    pub moment: Option<Moment>,
    /// The user's id in the system that issued the token.
    pub user_id: Option<String>,
    /// The name that is shown: `display_name`, else `nick`.
    pub display_name: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The role in the room.
    pub role: Option<String>,
    /// The affiliation with the room.
    pub affiliation: Option<String>,
    /// `human`, `phone`, `recorder` or `transcriber`.
    pub kind: Option<String>,
}

/// When an occupant was there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// The first join; `None` when only a leave or an update was seen.
    pub joined_at: Option<OffsetDateTime>,
    /// The end of the last stay; `None` while it lasts, and when no leave was ever seen.
    pub left_at: Option<OffsetDateTime>,
    /// Why it ended.
    pub left_reason: Option<String>,
    /// Whether the occupant is there now.
    pub present: bool,
}

/// The reason of a stay that ended because the source of its events started anew.
pub const SOURCE_RESTARTED: &str = "source_restarted";

impl Sighting {
    /// What `event` says about an occupant; `None` for events of other kinds and for those that name nobody.
    pub fn of(event: &Event) -> Option<Self> {
        let key = OccupantKey::of(event);
        let moment = Moment::of(event);
        let occupant = match event.name.as_str() {
            name::OCCUPANT_JOINED => Occupant {
                first_join_at: Some(moment.at),
                last_join: Some(Statement::new(moment, event.text("boot_id"))),
                last_left: None,
                description: Description::of(event, Some(moment)),
            },
            name::OCCUPANT_UPDATED => {
                Occupant { description: Description::of(event, Some(moment)), ..Occupant::default() }
            }
            name::OCCUPANT_LEFT => Occupant {
                last_left: Some(Statement::new(moment, event.text("reason"))),
                description: Description::of(event, None),
                ..Occupant::default()
            },
            _ => return None,
        };
        Some(Self { key: key?, occupant })
    }
}

impl OccupantKey {
    fn of(event: &Event) -> Option<Self> {
        let id =
            event.text("occupant_id").or_else(|| event.text("user_id")).or_else(|| event.text("nick"))?;
        let breakout_room_id = event.text("breakout_room_id").unwrap_or_default();
        Some(Self { occupant_id: bounded(id), breakout_room_id: bounded(breakout_room_id) })
    }
}

impl Description {
    fn of(event: &Event, moment: Option<Moment>) -> Self {
        let text = |member| event.text(member).map(ToOwned::to_owned);
        Self {
            moment,
            user_id: text("user_id"),
            display_name: text("display_name").or_else(|| text("nick")),
            email: text("email"),
            role: text("role"),
            affiliation: text("affiliation"),
            kind: text("kind"),
        }
    }
}

impl Occupant {
    /// Both together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            first_join_at: self.first_join_at.into_iter().chain(other.first_join_at).min(),
            last_join: self.last_join.max(other.last_join),
            last_left: self.last_left.max(other.last_left),
            description: self.description.max(other.description),
        }
    }

    /// When the occupant was there, given the boots of all sources.
    pub fn stay(&self, boots: &[Boot]) -> Stay {
        let joined = self.last_join.as_ref();
        let left =
            self.last_left.as_ref().filter(|left| joined.is_none_or(|join| left.moment >= join.moment));
        let stay = |left_at, left_reason, present| Stay {
            joined_at: self.first_join_at,
            left_at,
            left_reason,
            present,
        };
        if let Some(left) = left {
            return stay(Some(left.moment.at), left.text.clone(), false);
        }
        let boot_id = joined.and_then(|join| join.text.as_deref());
        match boot_id.and_then(|boot_id| Boot::superseded_at(boots, boot_id)) {
            Some(at) => stay(Some(at), Some(SOURCE_RESTARTED.to_owned()), false),
            None => stay(None, None, joined.is_some()),
        }
    }
}

#[cfg(test)]
mod tests;
