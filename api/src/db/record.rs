//! A meeting's record: who was there, what was recorded, what happened. Read in one snapshot.

use std::collections::{BTreeMap, HashMap};

use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use super::event_page::{self, EventPage};
use super::events::stamp;
use super::{meetings, recordings, whereby};
use crate::domain::meeting::{Meeting, Tenure, people_present};
use crate::domain::moment::{Boot, Moment, Statement};
use crate::domain::presence::{Description, Occupant, OccupantKey, Told};
use crate::domain::recording::{File, Session};
use crate::domain::room::Platform;

/// Everything that is known of one meeting.
#[derive(Debug)]
pub struct Record {
    /// The meeting.
    pub meeting: Meeting,
    /// Whom its room belongs to.
    pub tenure: Option<Tenure>,
    /// Everybody who was seen.
    pub occupants: BTreeMap<OccupantKey, Occupant>,
    /// How many people are in the meeting now.
    pub people: usize,
    /// Recording sessions by id.
    pub sessions: BTreeMap<String, Session>,
    /// Finished recording files, oldest first.
    pub files: Vec<File>,
    /// The boots that occupants and sessions speak of, and those that followed them.
    pub boots: Vec<Boot>,
    /// One page of events.
    pub events: EventPage,
}

/// Reads the record of the meeting `id`, with the events after position `after`. `None` when there is no such meeting.
pub async fn read(db: &PgPool, id: &str, after: i64) -> Result<Option<Record>, sqlx::Error> {
    let mut snapshot = db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let Some((meeting, tenure)) = meetings::find(&mut *snapshot, id).await? else { return Ok(None) };
    let (occupants, sessions, boots) = attendance(&mut snapshot, id).await?;
    let counted = counted(&mut snapshot, &[(id, meeting.settings.platform)]).await?;
    let people = counted.get(id).copied().unwrap_or_else(|| people_present(&occupants, &boots));
    let files = recordings::list(&mut *snapshot, id).await?;
    let events = event_page::read(&mut snapshot, id, after).await?;
    snapshot.commit().await?;
    Ok(Some(Record { meeting, tenure, occupants, people, sessions, files, boots, events }))
}

/// How many people are in `meeting` now.
pub async fn people(db: &PgPool, meeting: &Meeting) -> Result<usize, sqlx::Error> {
    let people = people_in(db, &[(&meeting.id, meeting.settings.platform)]).await?;
    Ok(people.get(&meeting.id).copied().unwrap_or(0))
}

/// How many people are in each of `meetings` now, which are ids and platforms, by the meetings' ids; with as many statements as for one
/// of them. Meetings in which nobody was seen may be left out.
pub async fn people_in(
    db: &PgPool,
    meetings: &[(&str, Platform)],
) -> Result<HashMap<String, usize>, sqlx::Error> {
    let mut db = db.acquire().await?;
    let mut people = counted(&mut db, meetings).await?;
    let others: Vec<_> = meetings.iter().map(|(id, _)| *id).filter(|id| !people.contains_key(*id)).collect();
    if !others.is_empty() {
        let mut occupants = occupants(&mut db, &others).await?;
        let boots = boots(&mut db, occupants.values().flat_map(BTreeMap::values), []).await?;
        for end in room_ends(&mut db, &others).await? {
            if let Some(occupants) = occupants.get_mut(&end.meeting_id) {
                end.send_out(occupants, &boots);
            }
        }
        people.extend(occupants.into_iter().map(|(id, occupants)| (id, people_present(&occupants, &boots))));
    }
    Ok(people)
}

/// The people in those of `meetings` whose platform counts them: such a count is right again after a webhook was lost.
async fn counted(
    db: &mut PgConnection,
    meetings: &[(&str, Platform)],
) -> Result<HashMap<String, usize>, sqlx::Error> {
    let counts = |(_, platform): &&(&str, Platform)| *platform == Platform::Whereby;
    let ids: Vec<_> = meetings.iter().filter(counts).map(|(id, _)| *id).collect();
    if ids.is_empty() { Ok(HashMap::new()) } else { whereby::counts::latest(db, &ids).await }
}

/// Everybody who was seen in the meeting `id`, and the boots that their stays depend on.
pub async fn presence(
    db: &PgPool,
    id: &str,
) -> Result<(BTreeMap<OccupantKey, Occupant>, Vec<Boot>), sqlx::Error> {
    let (occupants, _, boots) = attendance(&mut *db.acquire().await?, id).await?;
    Ok((occupants, boots))
}

type Occupants = BTreeMap<OccupantKey, Occupant>;
type Sessions = BTreeMap<String, Session>;

/// Occupants and sessions as the ends of their rooms left them, with the boots that tell what else ended.
async fn attendance(
    db: &mut PgConnection,
    meeting_id: &str,
) -> Result<(Occupants, Sessions, Vec<Boot>), sqlx::Error> {
    let mut occupants = occupants(db, &[meeting_id]).await?.remove(meeting_id).unwrap_or_default();
    let mut sessions = sessions(db, meeting_id).await?;
    let boots = boots(db, occupants.values(), sessions.values()).await?;
    for end in room_ends(db, &[meeting_id]).await? {
        end.send_out(&mut occupants, &boots);
        if end.breakout_room_id.is_empty() {
            for session in sessions.values_mut() {
                *session = std::mem::take(session).after_room_end(end.moment, &boots);
            }
        }
    }
    Ok((occupants, sessions, boots))
}

/// The end of a meeting's room, or of one of its breakout rooms.
struct RoomEnd {
    meeting_id: String,
    breakout_room_id: String,
    moment: Moment,
}

impl RoomEnd {
    /// Whoever of `occupants` was in the room has left it.
    fn send_out(&self, occupants: &mut Occupants, boots: &[Boot]) {
        let there = |(key, _): &(&OccupantKey, &mut Occupant)| key.breakout_room_id == self.breakout_room_id;
        for (_, occupant) in occupants.iter_mut().filter(there) {
            *occupant = std::mem::take(occupant).after_room_end(self.moment, boots);
        }
    }
}

async fn room_ends(db: &mut PgConnection, meeting_ids: &[&str]) -> Result<Vec<RoomEnd>, sqlx::Error> {
    let rows: Vec<(String, String, OffsetDateTime, Option<i64>)> = sqlx::query_as(
        "-- record.room_ends
        SELECT meeting_id, breakout_room_id, ended_at, ended_seq FROM reflector.room_end WHERE meeting_id = ANY($1)",
    )
    .bind(meeting_ids)
    .fetch_all(db)
    .await?;
    let end = |(meeting_id, breakout_room_id, at, seq)| RoomEnd {
        meeting_id,
        breakout_room_id,
        moment: Moment { at, seq },
    };
    Ok(rows.into_iter().map(end).collect())
}

#[derive(FromRow)]
struct OccupantRow {
    meeting_id: String,
    occupant_id: String,
    breakout_room_id: String,
    first_join_at: Option<OffsetDateTime>,
    last_join_at: Option<OffsetDateTime>,
    last_join_seq: Option<i64>,
    last_join_boot: Option<String>,
    last_left_at: Option<OffsetDateTime>,
    last_left_seq: Option<i64>,
    left_reason: Option<String>,
    user_id: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    role: Option<String>,
    affiliation: Option<String>,
    kind: Option<String>,
}

/// A statement of three columns.
fn statement(at: Option<OffsetDateTime>, seq: Option<i64>, text: Option<String>) -> Option<Statement> {
    at.map(|at| Statement { moment: Moment { at, seq }, text })
}

fn told(stamped: Option<String>) -> Option<Told> {
    stamped.and_then(|stamped| stamp::read(&stamped))
}

impl From<OccupantRow> for (OccupantKey, Occupant) {
    fn from(row: OccupantRow) -> Self {
        let key = OccupantKey { occupant_id: row.occupant_id, breakout_room_id: row.breakout_room_id };
        let occupant = Occupant {
            first_join_at: row.first_join_at,
            last_join: statement(row.last_join_at, row.last_join_seq, row.last_join_boot),
            last_left: statement(row.last_left_at, row.last_left_seq, row.left_reason),
            description: Description {
                user_id: told(row.user_id),
                display_name: told(row.display_name),
                email: told(row.email),
                role: told(row.role),
                affiliation: told(row.affiliation),
                kind: told(row.kind),
            },
        };
        (key, occupant)
    }
}

/// The occupants of each of these meetings that has any.
async fn occupants(
    db: &mut PgConnection,
    meeting_ids: &[&str],
) -> Result<HashMap<String, Occupants>, sqlx::Error> {
    let rows = sqlx::query_as::<_, OccupantRow>(
        "-- record.occupants
        SELECT meeting_id, occupant_id, breakout_room_id, first_join_at, last_join_at, last_join_seq, last_join_boot, last_left_at,
          last_left_seq, left_reason, user_id, display_name, email, role, affiliation, kind
        FROM reflector.participant
        WHERE meeting_id = ANY($1)",
    )
    .bind(meeting_ids)
    .fetch_all(db)
    .await?;
    let mut occupants = HashMap::<_, Occupants>::new();
    for mut row in rows {
        let meeting = occupants.entry(std::mem::take(&mut row.meeting_id)).or_default();
        let (key, occupant) = row.into();
        meeting.insert(key, occupant);
    }
    Ok(occupants)
}

#[derive(FromRow)]
struct SessionRow {
    session_id: String,
    first_on_at: Option<OffsetDateTime>,
    last_on_at: Option<OffsetDateTime>,
    last_on_seq: Option<i64>,
    last_on_boot: Option<String>,
    last_off_at: Option<OffsetDateTime>,
    last_off_seq: Option<i64>,
    failure_reason: Option<String>,
    mode: Option<String>,
    initiator: Option<String>,
}

async fn sessions(db: &mut PgConnection, meeting_id: &str) -> Result<Sessions, sqlx::Error> {
    let rows = sqlx::query_as::<_, SessionRow>(
        "-- record.sessions
        SELECT session_id, first_on_at, last_on_at, last_on_seq, last_on_boot, last_off_at, last_off_seq, failure_reason, mode,
          initiator
        FROM reflector.recording_session
        WHERE meeting_id = $1",
    )
    .bind(meeting_id)
    .fetch_all(db)
    .await?;
    let session = |row: SessionRow| Session {
        first_on_at: row.first_on_at,
        last_on: statement(row.last_on_at, row.last_on_seq, row.last_on_boot),
        last_off: statement(row.last_off_at, row.last_off_seq, row.failure_reason),
        mode: row.mode,
        initiator: row.initiator,
    };
    Ok(rows.into_iter().map(|row| (row.session_id.clone(), session(row))).collect())
}

/// The boots that joins and recordings were seen by, each with the one that followed it, in the order in which they were stored.
async fn boots<'a>(
    db: &mut PgConnection,
    occupants: impl IntoIterator<Item = &'a Occupant>,
    sessions: impl IntoIterator<Item = &'a Session>,
) -> Result<Vec<Boot>, sqlx::Error> {
    let joins = occupants.into_iter().filter_map(|occupant| occupant.last_join.as_ref());
    let starts = sessions.into_iter().filter_map(|session| session.last_on.as_ref());
    let mut ids: Vec<_> = joins.chain(starts).filter_map(|statement| statement.text.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, String, OffsetDateTime)> = sqlx::query_as(
        "-- record.boots
        WITH named AS (
          SELECT position, boot_id, source, started_at FROM reflector.source_boot WHERE boot_id = ANY($1)
        )
        SELECT boot_id, source, started_at
        FROM (
          TABLE named
          UNION
          SELECT next.*
          FROM named
          CROSS JOIN LATERAL (
            SELECT other.position, other.boot_id, other.source, other.started_at
            FROM reflector.source_boot other
            WHERE other.source = named.source AND other.position > named.position
            ORDER BY other.position
            LIMIT 1
          ) next
        ) boot
        ORDER BY position",
    )
    .bind(ids)
    .fetch_all(db)
    .await?;
    let boot = |(boot_id, source, started_at)| Boot { boot_id, source, started_at };
    Ok(rows.into_iter().map(boot).collect())
}
