//! A meeting's record: who was there, what was recorded, what happened. Read in one snapshot.

use std::collections::BTreeMap;

use sqlx::{FromRow, PgConnection, PgPool};
use time::OffsetDateTime;

use super::event_page::{self, EventPage};
use super::meetings;
use crate::domain::meeting::{Meeting, Tenure};
use crate::domain::moment::{Boot, Moment, Statement};
use crate::domain::presence::{Description, Occupant, OccupantKey};
use crate::domain::recording::{File, Session};

/// Everything that is known of one meeting.
#[derive(Debug)]
pub struct Record {
    /// The meeting.
    pub meeting: Meeting,
    /// Whom its room belongs to.
    pub tenure: Option<Tenure>,
    /// Everybody who was seen.
    pub occupants: BTreeMap<OccupantKey, Occupant>,
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
    let occupants = occupants(&mut snapshot, id).await?;
    let sessions = sessions(&mut snapshot, id).await?;
    let boots = boots(&mut snapshot, &occupants, &sessions).await?;
    let files = files(&mut snapshot, id).await?;
    let events = event_page::read(&mut snapshot, id, after).await?;
    snapshot.commit().await?;
    Ok(Some(Record { meeting, tenure, occupants, sessions, files, boots, events }))
}

/// Everybody who was seen in the meeting `id`, and the boots that their stays depend on.
pub async fn presence(
    db: &PgPool,
    id: &str,
) -> Result<(BTreeMap<OccupantKey, Occupant>, Vec<Boot>), sqlx::Error> {
    let mut connection = db.acquire().await?;
    let occupants = occupants(&mut connection, id).await?;
    let boots = boots(&mut connection, &occupants, &BTreeMap::new()).await?;
    Ok((occupants, boots))
}

#[derive(FromRow)]
struct OccupantRow {
    occupant_id: String,
    breakout_room_id: String,
    first_join_at: Option<OffsetDateTime>,
    last_join_at: Option<OffsetDateTime>,
    last_join_seq: Option<i64>,
    last_join_boot: Option<String>,
    last_left_at: Option<OffsetDateTime>,
    last_left_seq: Option<i64>,
    left_reason: Option<String>,
    described_at: Option<OffsetDateTime>,
    described_seq: Option<i64>,
    user_id: Option<String>,
    display_name: Option<String>,
    email: Option<String>,
    role: Option<String>,
    affiliation: Option<String>,
    kind: Option<String>,
}

/// A moment of two columns.
fn moment(at: Option<OffsetDateTime>, seq: Option<i64>) -> Option<Moment> {
    at.map(|at| Moment { at, seq })
}

/// A statement of three columns.
fn statement(at: Option<OffsetDateTime>, seq: Option<i64>, text: Option<String>) -> Option<Statement> {
    moment(at, seq).map(|moment| Statement { moment, text })
}

impl From<OccupantRow> for (OccupantKey, Occupant) {
    fn from(row: OccupantRow) -> Self {
        let key = OccupantKey { occupant_id: row.occupant_id, breakout_room_id: row.breakout_room_id };
        let occupant = Occupant {
            first_join_at: row.first_join_at,
            last_join: statement(row.last_join_at, row.last_join_seq, row.last_join_boot),
            last_left: statement(row.last_left_at, row.last_left_seq, row.left_reason),
            description: Description {
                moment: moment(row.described_at, row.described_seq),
                user_id: row.user_id,
                display_name: row.display_name,
                email: row.email,
                role: row.role,
                affiliation: row.affiliation,
                kind: row.kind,
            },
        };
        (key, occupant)
    }
}

async fn occupants(
    db: &mut PgConnection,
    meeting_id: &str,
) -> Result<BTreeMap<OccupantKey, Occupant>, sqlx::Error> {
    let rows = sqlx::query_as::<_, OccupantRow>(
        "-- record.occupants
        SELECT occupant_id, breakout_room_id, first_join_at, last_join_at, last_join_seq, last_join_boot, last_left_at,
          last_left_seq, left_reason, described_at, described_seq, user_id, display_name, email, role, affiliation, kind
        FROM reflector.participant
        WHERE meeting_id = $1",
    )
    .bind(meeting_id)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
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

async fn sessions(db: &mut PgConnection, meeting_id: &str) -> Result<BTreeMap<String, Session>, sqlx::Error> {
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

/// The boots that joins and recordings were seen by, each with the one that followed it.
async fn boots(
    db: &mut PgConnection,
    occupants: &BTreeMap<OccupantKey, Occupant>,
    sessions: &BTreeMap<String, Session>,
) -> Result<Vec<Boot>, sqlx::Error> {
    let joins = occupants.values().filter_map(|occupant| occupant.last_join.as_ref());
    let starts = sessions.values().filter_map(|session| session.last_on.as_ref());
    let mut ids: Vec<_> = joins.chain(starts).filter_map(|statement| statement.text.as_deref()).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<(String, String, OffsetDateTime)> = sqlx::query_as(
        "-- record.boots
        SELECT boot_id, source, started_at FROM reflector.source_boot WHERE boot_id = ANY($1)
        UNION
        SELECT later.boot_id, later.source, later.started_at
        FROM reflector.source_boot boot
        CROSS JOIN LATERAL (
          SELECT other.boot_id, other.source, other.started_at
          FROM reflector.source_boot other
          WHERE other.source = boot.source AND other.started_at > boot.started_at
          ORDER BY other.started_at
          LIMIT 1
        ) later
        WHERE boot.boot_id = ANY($1)",
    )
    .bind(ids)
    .fetch_all(db)
    .await?;
    let boot = |(boot_id, source, started_at)| Boot { boot_id, source, started_at };
    Ok(rows.into_iter().map(boot).collect())
}

#[derive(FromRow)]
struct FileRow {
    id: String,
    file: String,
    status: String,
    completed_at: OffsetDateTime,
    session_id: Option<String>,
    host: Option<String>,
    size_bytes: Option<i64>,
    duration_ms: Option<i64>,
    sha256: Option<String>,
    bucket: Option<String>,
    object_key: Option<String>,
}

async fn files(db: &mut PgConnection, meeting_id: &str) -> Result<Vec<File>, sqlx::Error> {
    let rows = sqlx::query_as::<_, FileRow>(
        "-- record.files
        SELECT id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key
        FROM reflector.recording
        WHERE meeting_id = $1
        ORDER BY completed_at, id",
    )
    .bind(meeting_id)
    .fetch_all(db)
    .await?;
    let file = |row: FileRow| File {
        id: row.id,
        file: row.file,
        status: row.status,
        completed_at: row.completed_at,
        session_id: row.session_id,
        host: row.host,
        size_bytes: row.size_bytes,
        duration_ms: row.duration_ms,
        sha256: row.sha256,
        bucket: row.bucket,
        object_key: row.object_key,
    };
    Ok(rows.into_iter().map(file).collect())
}
