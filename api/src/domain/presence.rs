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
    /// How the occupant was described.
    pub description: Description,
}

/// What was told of an occupant: of each member the latest. What an event does not mention stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Description {
    /// The user's id in the system that issued the token.
    pub user_id: Option<Told>,
    /// The name that is shown: `display_name`, else `nick`.
    pub display_name: Option<Told>,
    /// The e-mail address.
    pub email: Option<Told>,
    /// The role in the room.
    pub role: Option<Told>,
    /// The affiliation with the room.
    pub affiliation: Option<Told>,
    /// `human`, `phone`, `recorder` or `transcriber`.
    pub kind: Option<Told>,
}

/// A text and when it was told. Of two at the same moment the greater text counts as later.
///
/// A leave tells without a time: it may name whom no join named, but never replaces what a join or an update said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// When; `None` for what a leave said.
    pub moment: Option<Moment>,
    /// What.
    pub text: String,
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

/// The reason of a stay that ended with the room.
pub const ROOM_DESTROYED: &str = "room_destroyed";

/// The end of a room that `event` tells of: of which breakout room (empty for the main room), and when. `None` for events of other
/// kinds.
pub fn room_end(event: &Event) -> Option<(String, Moment)> {
    (event.name == name::ROOM_DESTROYED).then(|| (breakout_room_id(event), Moment::of(event)))
}

fn breakout_room_id(event: &Event) -> String {
    bounded(event.text("breakout_room_id").unwrap_or_default())
}

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
        Some(Self { occupant_id: bounded(id), breakout_room_id: breakout_room_id(event) })
    }
}

impl Description {
    fn of(event: &Event, moment: Option<Moment>) -> Self {
        let told = |member| event.text(member).map(|text| Told { moment, text: text.to_owned() });
        Self {
            user_id: told("user_id"),
            display_name: told("display_name").or_else(|| told("nick")),
            email: told("email"),
            role: told("role"),
            affiliation: told("affiliation"),
            kind: told("kind"),
        }
    }

    fn merge(self, other: Self) -> Self {
        Self {
            user_id: self.user_id.max(other.user_id),
            display_name: self.display_name.max(other.display_name),
            email: self.email.max(other.email),
            role: self.role.max(other.role),
            affiliation: self.affiliation.max(other.affiliation),
            kind: self.kind.max(other.kind),
        }
    }
}

impl Told {
    /// The text alone.
    pub fn into_text(self) -> String {
        self.text
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
            description: self.description.merge(other.description),
        }
    }

    /// The same once the occupant's room ended at `end`: whoever was there until then left with it.
    #[must_use]
    pub fn after_room_end(mut self, end: Moment, boots: &[Boot]) -> Self {
        let was_there = self.leave().is_none()
            && self.last_join.as_ref().is_some_and(|join| {
                join.moment <= end && Boot::superseded_at(boots, join).is_none_or(|at| at > end.at)
            });
        if was_there {
            self.last_left = Some(Statement::new(end, Some(ROOM_DESTROYED)));
        }
        self
    }

    /// The leave that ended the last stay.
    fn leave(&self) -> Option<&Statement> {
        let joined = self.last_join.as_ref();
        self.last_left.as_ref().filter(|left| joined.is_none_or(|join| left.moment >= join.moment))
    }

    /// `human`, `phone`, `recorder` or `transcriber`, if that was told.
    pub fn kind(&self) -> Option<&str> {
        self.description.kind.as_ref().map(|told| &*told.text)
    }

    /// When the occupant was there, given the boots of all sources.
    pub fn stay(&self, boots: &[Boot]) -> Stay {
        let joined = self.last_join.as_ref();
        let stay = |left_at, left_reason, present| Stay {
            joined_at: self.first_join_at,
            left_at,
            left_reason,
            present,
        };
        if let Some(left) = self.leave() {
            return stay(Some(left.moment.at), left.text.clone(), false);
        }
        match joined.and_then(|join| Boot::superseded_at(boots, join)) {
            Some(at) => stay(Some(at), Some(SOURCE_RESTARTED.to_owned()), false),
            None => stay(None, None, joined.is_some()),
        }
    }
}

#[cfg(test)]
mod tests;
