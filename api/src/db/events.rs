//! Storing events: one statement for a whole group.

use sqlx::{PgConnection, Row};
use time::OffsetDateTime;

use crate::domain::moment::{Moment, Statement};
use crate::domain::presence::{Occupant, OccupantKey};
use crate::domain::recording::{File, Session};

pub mod stamp;

/// Events and what they say about occupants: nearly every group. Postgres prepares each part of a statement for every execution,
/// whether it gets rows or not, so the parts that are seldom needed stay out. It fails when one of the ids is stored already.
const USUAL: &str = concat!(
    include_str!("events/room.sql"),
    include_str!("events/usual.sql"),
    include_str!("events/usual_result.sql")
);

/// Events, occupants, recording sessions, finished files, boots and ends of rooms. It looks first whether one of the ids is stored
/// already.
const ALL: &str = concat!(
    include_str!("events/room_unless_known.sql"),
    include_str!("events/usual.sql"),
    include_str!("events/rare.sql"),
    include_str!("events/rare_result.sql")
);

/// The place of a room in [`Group::rooms`], counted from 1 as Postgres counts.
pub type RoomPlace = i32;

/// What one statement stores. Rows that speak of the same occupant or session are merged already.
#[derive(Debug, Default)]
pub struct Group<'a> {
    /// The rooms that the other rows refer to, each once.
    pub rooms: Vec<&'a str>,
    /// Events, in the order in which they are to stand.
    pub events: Vec<NewEvent<'a>>,
    /// What the events say about occupants.
    pub occupants: Vec<(RoomPlace, OccupantKey, Occupant)>,
    /// What the events say about recording sessions.
    pub sessions: Vec<(RoomPlace, String, Session)>,
    /// Finished files.
    pub files: Vec<(RoomPlace, File)>,
    /// Boots of sources.
    pub boots: Vec<NewBoot<'a>>,
    /// The latest ends of rooms, by breakout room.
    pub ends: Vec<(RoomPlace, String, Moment)>,
}

/// A row for `meeting_event`.
#[derive(Debug)]
pub struct NewEvent<'a> {
    /// The event's id.
    pub id: &'a str,
    /// Its room.
    pub room: RoomPlace,
    /// Its name.
    pub name: &'a str,
    /// When it happened.
    pub occurred_at: OffsetDateTime,
    /// Its data, as JSON.
    pub data: &'a str,
}

/// A row for `source_boot`.
#[derive(Debug)]
pub struct NewBoot<'a> {
    /// The boot's id.
    pub boot_id: &'a str,
    /// The id of the event that told of it.
    pub event_id: &'a str,
    /// Its source.
    pub source: &'a str,
    /// When it started.
    pub started_at: OffsetDateTime,
    /// The event's data, as JSON.
    pub data: &'a str,
}

/// What the statement did.
#[derive(Debug)]
pub enum Answer {
    /// Everything was stored for which there is a meeting.
    Stored(Stored),
    /// Nothing was, because these ids are stored already.
    Known(Vec<String>),
}

/// What the statement stored.
#[derive(Debug, Default)]
pub struct Stored {
    /// For each of [`Group::rooms`] whether it has a meeting.
    pub has_meeting: Vec<bool>,
    /// The event ids of boots that were not there before.
    pub boot_event_ids: Vec<String>,
}

/// Readies a connection for [`store`]: the statement is planned once, not for every group, which would cost more than the work
/// itself. Such a plan is made while the tables are small and kept when they are large; without scans of whole tables it is the
/// same for both.
pub async fn prepare(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let settings = "-- events.prepare
        SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false)";
    sqlx::query(settings).execute(connection).await.map(drop)
}

/// Stores a group in one round trip and one transaction: all of it, or nothing when one of its ids is stored already.
///
/// Unless told to be `cautious` it may find that out by failing with [`is_contention`]: most groups bring new ids only, and
/// looking each of them up costs more than finding out late. A repetition of the group is to be cautious.
///
/// No id may stand in the group twice. Events of rooms without a meeting are left out. The newest meeting of a room takes its
/// events. The upserts keep the greater of what is there and what comes, like [`Occupant::merge`].
pub async fn store(
    connection: &mut PgConnection,
    group: &Group<'_>,
    cautious: bool,
) -> Result<Answer, sqlx::Error> {
    let is_usual = !cautious
        && group.sessions.is_empty()
        && group.files.is_empty()
        && group.boots.is_empty()
        && group.ends.is_empty();
    let mut query = sqlx::query(if is_usual { USUAL } else { ALL }).bind(&group.rooms);
    macro_rules! bind {
        ($rows:expr, $($column:expr),+ $(,)?) => {
            $(query = query.bind($rows.iter().map($column).collect::<Vec<_>>());)+
        };
    }
    bind!(group.events, |e| e.id, |e| e.room, |e| e.name, |e| e.occurred_at, |e| e.data);
    bind!(
        group.occupants,
        |(room, ..)| *room,
        |(_, key, _)| &*key.occupant_id,
        |(_, key, _)| &*key.breakout_room_id,
        |(.., o)| o.first_join_at,
        |(.., o)| at(o.last_join.as_ref()),
        |(.., o)| seq(o.last_join.as_ref()),
        |(.., o)| text(o.last_join.as_ref()),
        |(.., o)| at(o.last_left.as_ref()),
        |(.., o)| seq(o.last_left.as_ref()),
        |(.., o)| text(o.last_left.as_ref()),
        |(.., o)| o.description.user_id.as_ref().map(stamp::stamped),
        |(.., o)| o.description.display_name.as_ref().map(stamp::stamped),
        |(.., o)| o.description.email.as_ref().map(stamp::stamped),
        |(.., o)| o.description.role.as_ref().map(stamp::stamped),
        |(.., o)| o.description.affiliation.as_ref().map(stamp::stamped),
        |(.., o)| o.description.kind.as_ref().map(stamp::stamped),
    );
    if !is_usual {
        bind!(
            group.sessions,
            |(room, ..)| *room,
            |(_, id, _)| &**id,
            |(.., s)| s.first_on_at,
            |(.., s)| at(s.last_on.as_ref()),
            |(.., s)| seq(s.last_on.as_ref()),
            |(.., s)| text(s.last_on.as_ref()),
            |(.., s)| at(s.last_off.as_ref()),
            |(.., s)| seq(s.last_off.as_ref()),
            |(.., s)| text(s.last_off.as_ref()),
            |(.., s)| s.mode.as_deref(),
            |(.., s)| s.initiator.as_deref(),
        );
        bind!(
            group.files,
            |(room, _)| *room,
            |(_, f)| &*f.id,
            |(_, f)| &*f.file,
            |(_, f)| &*f.status,
            |(_, f)| f.completed_at,
            |(_, f)| f.session_id.as_deref(),
            |(_, f)| f.host.as_deref(),
            |(_, f)| f.size_bytes,
            |(_, f)| f.duration_ms,
            |(_, f)| f.sha256.as_deref(),
            |(_, f)| f.bucket.as_deref(),
            |(_, f)| f.object_key.as_deref(),
        );
        bind!(group.boots, |b| b.boot_id, |b| b.event_id, |b| b.source, |b| b.started_at, |b| b.data);
        bind!(group.ends, |(room, ..)| *room, |(_, id, _)| &**id, |(.., m)| m.at, |(.., m)| m.seq);
        bind!(group.files, |(_, f)| f.started_at);
    }
    let row = query.fetch_one(connection).await?;
    let known: Vec<String> = row.try_get(1)?;
    if known.is_empty() {
        Ok(Answer::Stored(Stored { has_meeting: row.try_get(0)?, boot_event_ids: row.try_get(2)? }))
    } else {
        Ok(Answer::Known(known))
    }
}

/// The keys that hold an event's id. A notice is stored under it twice, and it is not settled which of the two Postgres writes first.
const ID_KEYS: [&str; 2] = ["meeting_event_pkey", "recording_pkey"];

/// Whether [`store`] only has to be repeated: one of the ids is stored already, another transaction stored it in the meantime, or
/// the two were in each other's way (SQLSTATE class 40). Nothing was written.
pub fn is_contention(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    error.constraint().is_some_and(|name| ID_KEYS.contains(&name))
        || error.code().is_some_and(|code| code.starts_with("40"))
}

fn at(statement: Option<&Statement>) -> Option<OffsetDateTime> {
    statement.map(|statement| statement.moment.at)
}

fn seq(statement: Option<&Statement>) -> Option<i64> {
    statement.and_then(|statement| statement.moment.seq)
}

fn text(statement: Option<&Statement>) -> Option<&str> {
    statement.and_then(|statement| statement.text.as_deref())
}
