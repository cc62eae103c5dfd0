//! Meetings: made once per room and time, found by id.

use sqlx::{FromRow, PgExecutor, PgPool};
use time::OffsetDateTime;

use super::{rooms, setting::read as setting};
use crate::domain::meeting::{Addresses, Meeting, Tenure};
use crate::domain::room::{MeetingSettings, Room, Setting};

/// The columns of a [`Row`], named one by one as in [`rooms`].
macro_rules! columns {
    () => {
        "id, room_id, room_name, platform, start_date, end_date, is_active, is_locked, room_mode, recording_type, \
         recording_trigger, room_url, host_room_url"
    };
}

#[derive(FromRow)]
struct Row {
    id: String,
    room_id: Option<String>,
    room_name: String,
    platform: String,
    start_date: OffsetDateTime,
    end_date: OffsetDateTime,
    is_active: bool,
    is_locked: bool,
    room_mode: String,
    recording_type: String,
    recording_trigger: String,
    room_url: Option<String>,
    host_room_url: Option<String>,
}

impl TryFrom<Row> for Meeting {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            settings: MeetingSettings {
                platform: setting(&row.platform)?,
                is_locked: row.is_locked,
                room_mode: setting(&row.room_mode)?,
                recording_type: setting(&row.recording_type)?,
                recording_trigger: setting(&row.recording_trigger)?,
            },
            id: row.id,
            room_id: row.room_id,
            room_name: row.room_name,
            start_date: row.start_date,
            end_date: row.end_date,
            is_active: row.is_active,
            addresses: row
                .room_url
                .map(|room_url| Addresses { room_url, host_room_url: row.host_room_url.unwrap_or_default() }),
        })
    }
}

/// What [`enter`] did.
#[derive(Debug)]
pub enum Entered {
    /// A meeting is on; visitors come to that one.
    Running(Meeting),
    /// A meeting began now.
    Begun(Meeting),
}

/// Leads a visitor into `room`: into the newest meeting that is on with the room's settings, else into a new one.
///
/// However many visitors come at once, one meeting begins: beginning one needs the room's lock. `begin` makes the meeting
/// of the room as it is then. With `always_begin` nobody is led into a meeting that is on. `None` when the room is gone.
pub async fn enter(
    db: &PgPool,
    room: &Room,
    always_begin: bool,
    now: OffsetDateTime,
    begin: impl FnOnce(&Room) -> Meeting,
) -> Result<Option<Entered>, sqlx::Error> {
    if !always_begin && let Some(meeting) = find_open(db, room, now).await? {
        return Ok(Some(Entered::Running(meeting)));
    }
    let mut transaction = db.begin().await?;
    let Some(room) = rooms::lock(&mut *transaction, &room.id).await? else { return Ok(None) };
    if !always_begin && let Some(meeting) = find_open(&mut *transaction, &room, now).await? {
        return Ok(Some(Entered::Running(meeting)));
    }
    let meeting = begin(&room);
    insert(&mut *transaction, &meeting).await?;
    transaction.commit().await?;
    Ok(Some(Entered::Begun(meeting)))
}

/// The newest meeting that is on with the room's settings.
pub async fn find_open(
    db: impl PgExecutor<'_>,
    room: &Room,
    now: OffsetDateTime,
) -> Result<Option<Meeting>, sqlx::Error> {
    let settings = &room.settings;
    sqlx::query_as::<_, Row>(concat!(
        "-- meetings.find_open
        SELECT ",
        columns!(),
        " FROM reflector.meeting
        WHERE room_id = $1 AND is_active AND end_date > $2
          AND platform = $3 AND is_locked = $4 AND room_mode = $5 AND recording_type = $6 AND recording_trigger = $7
        ORDER BY end_date DESC, id
        LIMIT 1",
    ))
    .bind(&room.id)
    .bind(now)
    .bind(settings.platform.as_str())
    .bind(settings.is_locked)
    .bind(settings.room_mode.as_str())
    .bind(settings.recording_type.as_str())
    .bind(settings.recording_trigger.as_str())
    .fetch_optional(db)
    .await?
    .map(Meeting::try_from)
    .transpose()
}

/// Stores a new meeting.
pub(super) async fn insert(db: impl PgExecutor<'_>, meeting: &Meeting) -> Result<(), sqlx::Error> {
    let settings = &meeting.settings;
    sqlx::query(
        "-- meetings.insert
        INSERT INTO reflector.meeting (
          id, room_id, room_name, platform, start_date, end_date, is_active, is_locked, room_mode, recording_type,
          recording_trigger, room_url, host_room_url
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(&meeting.id)
    .bind(&meeting.room_id)
    .bind(&meeting.room_name)
    .bind(settings.platform.as_str())
    .bind(meeting.start_date)
    .bind(meeting.end_date)
    .bind(meeting.is_active)
    .bind(settings.is_locked)
    .bind(settings.room_mode.as_str())
    .bind(settings.recording_type.as_str())
    .bind(settings.recording_trigger.as_str())
    .bind(meeting.addresses.as_ref().map(|addresses| &addresses.room_url))
    .bind(meeting.addresses.as_ref().map(|addresses| &addresses.host_room_url))
    .execute(db)
    .await?;
    Ok(())
}

/// The room's meetings that visitors are led into at `now`, those that end last first; not more than a page can show.
pub async fn list_open(db: &PgPool, room_id: &str, now: OffsetDateTime) -> Result<Vec<Meeting>, sqlx::Error> {
    let rows = sqlx::query_as::<_, Row>(concat!(
        "-- meetings.list_open
        SELECT ",
        columns!(),
        " FROM reflector.meeting
        WHERE room_id = $1 AND is_active AND end_date > $2
        ORDER BY end_date DESC, id
        LIMIT 100",
    ))
    .bind(room_id)
    .bind(now)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(Meeting::try_from).collect()
}

/// Ends a meeting for its owner, unless it has been ended. One that somebody came to has begun, also when nobody has looked yet.
pub async fn end(db: &PgPool, id: &str, now: OffsetDateTime) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- meetings.end
        UPDATE reflector.meeting SET
          started_at = COALESCE(started_at, CASE WHEN EXISTS (
            SELECT FROM reflector.participant p WHERE p.meeting_id = meeting.id AND p.last_join_at IS NOT NULL
          ) THEN $2 END),
          is_active = false,
          ended_at = $2,
          ended_reason = 'owner'
        WHERE id = $1 AND is_active",
    )
    .bind(id)
    .bind(now)
    .execute(db)
    .await
    .map(drop)
}

/// The meeting with this id, and whom its room belongs to if it has one.
pub async fn find(
    db: impl PgExecutor<'_>,
    id: &str,
) -> Result<Option<(Meeting, Option<Tenure>)>, sqlx::Error> {
    #[derive(FromRow)]
    struct Found {
        #[sqlx(flatten)]
        meeting: Row,
        owner: Option<String>,
        is_shared: Option<bool>,
    }
    let found = sqlx::query_as::<_, Found>(concat!(
        "-- meetings.find
        SELECT ",
        columns!(),
        ", (SELECT room.user_id FROM reflector.room WHERE room.id = meeting.room_id) AS owner,
          (SELECT room.is_shared FROM reflector.room WHERE room.id = meeting.room_id)
        FROM reflector.meeting
        WHERE id = $1",
    ))
    .bind(id)
    .fetch_optional(db)
    .await?;
    let Some(found) = found else { return Ok(None) };
    let tenure = found.owner.zip(found.is_shared).map(|(owner, is_shared)| Tenure { owner, is_shared });
    Ok(Some((Meeting::try_from(found.meeting)?, tenure)))
}
