//! Rooms.

use sqlx::error::DatabaseError;
use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{FromRow, PgExecutor, PgPool, Postgres};
use time::OffsetDateTime;

use super::setting::read as setting;
use crate::domain::room::{Calendar, MeetingSettings, Room, Setting};

/// Why a room was not stored.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Another room has the name.
    #[error("another room has the name")]
    NameTaken,
    /// The database failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The name of the constraint that keeps room names unique.
const UNIQUE_NAME: &str = "room_name_key";

/// The columns of a [`Row`]. They are named one by one, because prepared `SELECT *` statements fail in a running process when
/// a newer release adds a column.
macro_rules! columns {
    () => {
        "id, name, user_id, created_at, platform, room_mode, recording_type, recording_trigger, is_locked, is_shared, \
         zulip_auto_post, zulip_stream, zulip_topic, webhook_url, webhook_secret, skip_consent, ics_url, ics_fetch_interval, \
         ics_enabled"
    };
}

#[derive(FromRow)]
#[expect(clippy::struct_excessive_bools, reason = "the table's own form")]
struct Row {
    id: String,
    name: String,
    user_id: String,
    created_at: OffsetDateTime,
    platform: String,
    room_mode: String,
    recording_type: String,
    recording_trigger: String,
    is_locked: bool,
    is_shared: bool,
    zulip_auto_post: bool,
    zulip_stream: String,
    zulip_topic: String,
    webhook_url: Option<String>,
    webhook_secret: Option<String>,
    skip_consent: bool,
    ics_url: Option<String>,
    ics_fetch_interval: i32,
    ics_enabled: bool,
}

impl TryFrom<Row> for Room {
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
            name: row.name,
            user_id: row.user_id,
            created_at: row.created_at,
            is_shared: row.is_shared,
            zulip_auto_post: row.zulip_auto_post,
            zulip_stream: row.zulip_stream,
            zulip_topic: row.zulip_topic,
            webhook_url: row.webhook_url,
            webhook_secret: row.webhook_secret,
            skip_consent: row.skip_consent,
            calendar: Calendar {
                url: row.ics_url,
                fetch_interval: row.ics_fetch_interval.unsigned_abs(),
                enabled: row.ics_enabled,
            },
        })
    }
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// Binds `$1` to the room's id and `$2` to `$17` to what can be changed of it.
fn bind<'q>(statement: Statement<'q>, room: &'q Room) -> Statement<'q> {
    let settings = &room.settings;
    statement
        .bind(&room.id)
        .bind(&room.name)
        .bind(settings.room_mode.as_str())
        .bind(settings.recording_type.as_str())
        .bind(settings.recording_trigger.as_str())
        .bind(settings.is_locked)
        .bind(room.is_shared)
        .bind(room.zulip_auto_post)
        .bind(&room.zulip_stream)
        .bind(&room.zulip_topic)
        .bind(&room.webhook_url)
        .bind(&room.webhook_secret)
        .bind(room.skip_consent)
        .bind(&room.calendar.url)
        .bind(room.calendar.fetch_interval.cast_signed())
        .bind(room.calendar.enabled)
        .bind(settings.platform.as_str())
}

/// Stores a new room.
pub async fn create(db: &PgPool, room: &Room) -> Result<(), SaveError> {
    let statement = sqlx::query(
        "-- rooms.create
        INSERT INTO reflector.room (
          id, name, room_mode, recording_type, recording_trigger, is_locked, is_shared, zulip_auto_post, zulip_stream,
          zulip_topic, webhook_url, webhook_secret, skip_consent, ics_url, ics_fetch_interval, ics_enabled,
          platform, user_id, created_at
        ) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)",
    );
    let stored = bind(statement, room).bind(&room.user_id).bind(room.created_at).execute(db).await;
    stored.map(drop).map_err(save_error)
}

fn save_error(error: sqlx::Error) -> SaveError {
    let is_name = |error: &dyn DatabaseError| error.constraint() == Some(UNIQUE_NAME);
    if error.as_database_error().is_some_and(is_name) { SaveError::NameTaken } else { error.into() }
}

/// Changes the room with this id as `change` says of the room as it is then; nobody changes it meanwhile. `None` when there is no
/// such room; what `change` refuses is left as it is.
pub async fn update<E>(
    db: &PgPool,
    id: &str,
    change: impl FnOnce(Room) -> Result<Room, E>,
) -> Result<Option<Result<Room, E>>, SaveError> {
    let mut transaction = db.begin().await?;
    let Some(room) = lock(&mut *transaction, id).await? else { return Ok(None) };
    let room = match change(room) {
        Ok(room) => room,
        Err(refusal) => return Ok(Some(Err(refusal))),
    };
    replace(&mut *transaction, &room).await.map_err(save_error)?;
    transaction.commit().await?;
    Ok(Some(Ok(room)))
}

/// Stores what can be changed of a room.
async fn replace(db: impl PgExecutor<'_>, room: &Room) -> Result<(), sqlx::Error> {
    let statement = sqlx::query(
        "-- rooms.replace
        UPDATE reflector.room SET
          name = $2, room_mode = $3, recording_type = $4, recording_trigger = $5, is_locked = $6, is_shared = $7,
          zulip_auto_post = $8, zulip_stream = $9, zulip_topic = $10, webhook_url = $11, webhook_secret = $12,
          skip_consent = $13, ics_url = $14, ics_fetch_interval = $15, ics_enabled = $16, platform = $17
        WHERE id = $1",
    );
    bind(statement, room).execute(db).await.map(drop)
}

/// Removes a room with its meetings and what is known of them. Objects in the storage stay.
pub async fn delete(db: &PgPool, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query("-- rooms.delete\nDELETE FROM reflector.room WHERE id = $1")
        .bind(id)
        .execute(db)
        .await
        .map(drop)
}

/// The room with this id.
pub async fn find(db: &PgPool, id: &str) -> Result<Option<Room>, sqlx::Error> {
    sqlx::query_as::<_, Row>(concat!(
        "-- rooms.find
        SELECT ",
        columns!(),
        " FROM reflector.room WHERE id = $1",
    ))
    .bind(id)
    .fetch_optional(db)
    .await?
    .map(Room::try_from)
    .transpose()
}

/// The room with this name, as visitors type it: names are lower case, addresses are not always.
pub async fn find_by_name(db: &PgPool, name: &str) -> Result<Option<Room>, sqlx::Error> {
    sqlx::query_as::<_, Row>(concat!(
        "-- rooms.find_by_name
        SELECT ",
        columns!(),
        " FROM reflector.room WHERE name = lower($1)",
    ))
    .bind(name)
    .fetch_optional(db)
    .await?
    .map(Room::try_from)
    .transpose()
}

/// The room with this id, as it stays until the transaction ends: nobody else begins a meeting in it meanwhile.
pub(super) async fn lock(db: impl PgExecutor<'_>, id: &str) -> Result<Option<Room>, sqlx::Error> {
    sqlx::query_as::<_, Row>(concat!(
        "-- rooms.lock
        SELECT ",
        columns!(),
        " FROM reflector.room WHERE id = $1 FOR NO KEY UPDATE",
    ))
    .bind(id)
    .fetch_optional(db)
    .await?
    .map(Room::try_from)
    .transpose()
}

/// One page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The page's items.
    pub items: Vec<T>,
    /// How many items all pages have together.
    pub total: i64,
}

/// The rooms that `viewer` sees in their list, newest first: their own and shared ones. Somebody unknown sees shared ones.
pub async fn list(
    db: &PgPool,
    viewer: Option<&str>,
    limit: i64,
    offset: i64,
) -> Result<Page<Room>, sqlx::Error> {
    let total = sqlx::query_scalar(
        "-- rooms.list (total)
        SELECT count(*) FROM reflector.room WHERE is_shared OR user_id = $1",
    )
    .bind(viewer)
    .fetch_one(db)
    .await?;
    let rows = sqlx::query_as::<_, Row>(concat!(
        "-- rooms.list
        SELECT ",
        columns!(),
        " FROM reflector.room WHERE is_shared OR user_id = $1
        ORDER BY created_at DESC, id
        LIMIT $2 OFFSET $3",
    ))
    .bind(viewer)
    .bind(limit)
    .bind(offset)
    .fetch_all(db)
    .await?;
    let items = rows.into_iter().map(Room::try_from).collect::<Result<_, _>>()?;
    Ok(Page { items, total })
}
