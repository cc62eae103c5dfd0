//! Recordings: what is known of each, merged as [`crate::domain::recording_state`] says. Every statement that changes where a recording
//! is stands here, but for two: `events.store` takes what hosts and platforms say, `uploads.settle` what was verified.

use sqlx::{FromRow, PgExecutor, PgPool};
use time::OffsetDateTime;

use super::patience;
use crate::domain::meeting::Tenure;
use crate::domain::recording::File;
use crate::domain::recording_object::WherebyFile;
use crate::domain::recording_state::{DeletedReason, State};

/// The state of this name.
pub fn state(name: &str) -> Result<State, sqlx::Error> {
    let found = State::ALL.into_iter().find(|state| state.as_str() == name);
    found.ok_or_else(|| sqlx::Error::Decode(format!("{name:?} is no state of a recording").into()))
}

/// The columns of a [`Row`].
macro_rules! columns {
    () => {
        "id, file, status, completed_at, session_id, host, size_bytes, duration_ms, sha256, bucket, object_key, started_at, state, \
         denied AS is_withheld"
    };
}

#[derive(FromRow)]
struct Row {
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
    started_at: Option<OffsetDateTime>,
    state: String,
    is_withheld: bool,
}

impl TryFrom<Row> for File {
    type Error = sqlx::Error;

    fn try_from(row: Row) -> Result<Self, sqlx::Error> {
        Ok(Self {
            state: state(&row.state)?,
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
            started_at: row.started_at,
            is_withheld: row.is_withheld,
        })
    }
}

/// The recordings of a meeting, oldest first.
pub async fn list(db: impl PgExecutor<'_>, meeting_id: &str) -> Result<Vec<File>, sqlx::Error> {
    let rows = sqlx::query_as::<_, Row>(concat!(
        "-- recordings.list
        SELECT ",
        columns!(),
        " FROM reflector.recording
        WHERE meeting_id = $1
        ORDER BY completed_at, id",
    ))
    .bind(meeting_id)
    .fetch_all(db)
    .await?;
    rows.into_iter().map(File::try_from).collect()
}

/// The recording with this id, and whom the room of its meeting belongs to, if there is one.
pub async fn find(db: &PgPool, id: &str) -> Result<Option<(File, Option<Tenure>)>, sqlx::Error> {
    #[derive(FromRow)]
    struct Found {
        #[sqlx(flatten)]
        file: Row,
        owner: Option<String>,
        is_shared: Option<bool>,
    }
    let query = sqlx::query_as::<_, Found>(concat!(
        "-- recordings.find
        SELECT ",
        columns!(),
        ", room.user_id AS owner, room.is_shared
        FROM reflector.recording
        LEFT JOIN LATERAL (
          SELECT r.user_id, r.is_shared
          FROM reflector.meeting m JOIN reflector.room r ON r.id = m.room_id
          WHERE m.id = recording.meeting_id
        ) room ON true
        WHERE id = $1",
    ))
    .bind(id);
    let Some(found) = patience::fetch_optional(db, query).await? else { return Ok(None) };
    let tenure = found.owner.zip(found.is_shared).map(|(owner, is_shared)| Tenure { owner, is_shared });
    Ok(Some((File::try_from(found.file)?, tenure)))
}

/// An object that the storage was seen to hold, and that is a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What its key says.
    pub file: WherebyFile,
    /// The bucket.
    pub bucket: String,
    /// The whole key.
    pub key: String,
    /// Its size in bytes, where that was said.
    pub size_bytes: Option<i64>,
    /// When it was written.
    pub written_at: OffsetDateTime,
    /// When it was seen.
    pub seen_at: OffsetDateTime,
}

/// An object that the storage was seen not to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// The bucket.
    pub bucket: String,
    /// The whole key.
    pub key: String,
    /// When it was missed.
    pub at: OffsetDateTime,
}

/// Who saw objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// Somebody who tells of each object once. What belongs to no meeting that is known waits a week for one.
    Notification,
    /// A scan, which sees everything again and again. What belongs to no meeting that is known is left out, as a bucket may be full of
    /// what others have recorded; what is known to be there is left as it is.
    Scan,
}

/// Stores what was seen, and returns of how many recordings that was new.
pub async fn found(db: &PgPool, sights: &[Sight], witness: Witness) -> Result<u64, sqlx::Error> {
    // No row can be merged twice in one statement.
    let mut latest = std::collections::BTreeMap::<&str, &Sight>::new();
    for sight in sights {
        let known = latest.entry(&sight.file.id).or_insert(sight);
        if sight.seen_at > known.seen_at {
            *known = sight;
        }
    }
    let sights: Vec<_> = latest.into_values().collect();
    macro_rules! column {
        ($value:expr) => {
            sights.iter().map($value).collect::<Vec<_>>()
        };
    }
    let query = sqlx::query_as::<_, (bool,)>(
        "-- recordings.found
        INSERT INTO reflector.recording AS r (
          id, meeting_id, room_name, file, status, completed_at, started_at, size_bytes, bucket, object_key, announced_at, found_at,
          stored_at, forgotten_at, denied
        )
        SELECT s.id, CASE WHEN d.denied IS NULL THEN m.id END, s.room_name, s.file, 'completed', s.written_at, s.started_at,
          s.size_bytes, s.bucket, s.object_key, s.seen_at, s.seen_at, now(), CASE WHEN d.denied IS NOT NULL THEN now() END,
          COALESCE(d.denied, false)
        FROM unnest(
          $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::bigint[], $7::text[], $8::text[],
          $9::timestamptz[]
        ) AS s (id, room_name, file, written_at, started_at, size_bytes, bucket, object_key, seen_at)
        LEFT JOIN LATERAL (
          SELECT meeting.id FROM reflector.meeting WHERE meeting.room_name = s.room_name ORDER BY meeting.start_date DESC LIMIT 1
        ) m ON true
        CROSS JOIN LATERAL (SELECT reflector.deleted_room_is_denied(s.room_name, s.started_at) AS denied) d
        WHERE m.id IS NOT NULL OR d.denied IS NOT NULL OR NOT $10
        ON CONFLICT (id) DO UPDATE SET
          meeting_id = CASE WHEN r.forgotten_at IS NULL THEN COALESCE(EXCLUDED.meeting_id, r.meeting_id) END,
          room_name = COALESCE(r.room_name, EXCLUDED.room_name),
          -- Of one that was only missed until now nobody has said when it was complete.
          completed_at = CASE WHEN r.stored_at IS NULL AND r.announced_at IS NULL THEN EXCLUDED.completed_at ELSE r.completed_at END,
          started_at = COALESCE(r.started_at, EXCLUDED.started_at),
          size_bytes = COALESCE(EXCLUDED.size_bytes, r.size_bytes),
          bucket = EXCLUDED.bucket,
          object_key = EXCLUDED.object_key,
          announced_at = LEAST(r.announced_at, EXCLUDED.announced_at),
          found_at = GREATEST(r.found_at, EXCLUDED.found_at),
          stored_at = LEAST(r.stored_at, EXCLUDED.stored_at),
          forgotten_at = CASE WHEN r.meeting_id IS NULL THEN COALESCE(r.forgotten_at, EXCLUDED.forgotten_at) END,
          denied = r.denied OR r.meeting_id IS NULL AND EXCLUDED.denied
        WHERE NOT $10 OR r.state <> 'stored' OR (r.bucket, r.object_key) <> (EXCLUDED.bucket, EXCLUDED.object_key)
          OR r.meeting_id IS NULL AND r.forgotten_at IS NULL
        RETURNING xmax = 0",
    )
    .bind(column!(|s| &*s.file.id))
    .bind(column!(|s| &*s.file.room_name))
    .bind(column!(|s| &*s.file.name))
    .bind(column!(|s| s.written_at))
    .bind(column!(|s| s.file.started_at))
    .bind(column!(|s| s.size_bytes))
    .bind(column!(|s| &*s.bucket))
    .bind(column!(|s| &*s.key))
    .bind(column!(|s| s.seen_at))
    .bind(witness == Witness::Scan);
    let rows = patience::fetch_all(db, query).await?;
    Ok(rows.into_iter().filter(|(is_new,)| *is_new).count() as u64)
}

/// Stores that these objects are gone, where they were known to be there. As notifications come in any order, it is kept of what Whereby
/// records of a meeting that is known also when nobody has told of the object yet.
pub async fn missed(db: &PgPool, losses: &[Loss]) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(
        "-- recordings.missed
        UPDATE reflector.recording r SET missed_at = GREATEST(r.missed_at, l.at)
        FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS l (bucket, object_key, at)
        WHERE r.bucket = l.bucket AND r.object_key COLLATE \"C\" = l.object_key AND r.found_at IS NOT NULL",
    )
    .bind(losses.iter().map(|loss| &*loss.bucket).collect::<Vec<_>>())
    .bind(losses.iter().map(|loss| &*loss.key).collect::<Vec<_>>())
    .bind(losses.iter().map(|loss| loss.at).collect::<Vec<_>>());
    let known = patience::execute(db, query).await?.rows_affected();
    Ok(known + missed_early(db, losses).await?)
}

/// Stores of what nobody has found yet that it is gone.
async fn missed_early(db: &PgPool, losses: &[Loss]) -> Result<u64, sqlx::Error> {
    // No row can be merged twice in one statement.
    let mut latest = std::collections::BTreeMap::<String, (WherebyFile, &Loss)>::new();
    for loss in losses {
        let Some(file) = WherebyFile::parse(&loss.key) else { continue };
        let known = latest.entry(file.id.clone()).or_insert((file, loss));
        if loss.at > known.1.at {
            known.1 = loss;
        }
    }
    if latest.is_empty() {
        return Ok(0);
    }
    macro_rules! column {
        ($value:expr) => {
            latest.values().map($value).collect::<Vec<_>>()
        };
    }
    let query = sqlx::query(
        "-- recordings.missed_early
        INSERT INTO reflector.recording AS r (
          id, meeting_id, room_name, file, status, completed_at, started_at, bucket, object_key, missed_at
        )
        SELECT l.id, m.id, l.room_name, l.file, 'completed', l.at, l.started_at, l.bucket, l.object_key, l.at
        FROM unnest(
          $1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::timestamptz[]
        ) AS l (id, room_name, file, started_at, bucket, object_key, at)
        CROSS JOIN LATERAL (
          SELECT meeting.id FROM reflector.meeting WHERE meeting.room_name = l.room_name ORDER BY meeting.start_date DESC LIMIT 1
        ) m
        ON CONFLICT (id) DO UPDATE SET
          missed_at = GREATEST(r.missed_at, EXCLUDED.missed_at),
          bucket = EXCLUDED.bucket,
          object_key = EXCLUDED.object_key
        WHERE r.found_at IS NULL",
    )
    .bind(column!(|(file, _)| &*file.id))
    .bind(column!(|(file, _)| &*file.room_name))
    .bind(column!(|(file, _)| &*file.name))
    .bind(column!(|(file, _)| file.started_at))
    .bind(column!(|(_, loss)| &*loss.bucket))
    .bind(column!(|(_, loss)| &*loss.key))
    .bind(column!(|(_, loss)| loss.at));
    Ok(patience::execute(db, query).await?.rows_affected())
}

/// Gives recordings of the last days that have no meeting to the one that has their room by now, and returns how many; those whose
/// meeting came and went meanwhile are treated as it says.
pub async fn adopt(db: &PgPool) -> Result<u64, sqlx::Error> {
    let query = sqlx::query_as::<_, (bool,)>(
        "-- recordings.adopt
        UPDATE reflector.recording r
        SET meeting_id = known.meeting_id, forgotten_at = known.forgotten_at, denied = r.denied OR known.denied
        FROM (
          SELECT o.id, CASE WHEN d.denied IS NULL THEN m.id END AS meeting_id,
            CASE WHEN d.denied IS NOT NULL THEN now() END AS forgotten_at, COALESCE(d.denied, false) AS denied
          FROM reflector.recording o
          LEFT JOIN LATERAL (
            SELECT meeting.id FROM reflector.meeting WHERE meeting.room_name = o.room_name ORDER BY meeting.start_date DESC LIMIT 1
          ) m ON true
          CROSS JOIN LATERAL (SELECT reflector.deleted_room_is_denied(o.room_name, o.started_at) AS denied) d
          WHERE o.meeting_id IS NULL AND o.forgotten_at IS NULL AND o.completed_at > now() - interval '7 days'
            AND (m.id IS NOT NULL OR d.denied IS NOT NULL)
        ) known
        WHERE r.id = known.id AND r.meeting_id IS NULL AND r.forgotten_at IS NULL
        RETURNING r.meeting_id IS NOT NULL",
    );
    let rows = patience::fetch_all(db, query).await?;
    Ok(rows.into_iter().filter(|(is_given,)| *is_given).count() as u64)
}

/// Forgets recordings that have waited for their meeting in vain: they are of somebody else, who records into the same bucket.
pub async fn drop_strays(db: &PgPool) -> Result<u64, sqlx::Error> {
    let query = sqlx::query(
        "-- recordings.drop_strays
        DELETE FROM reflector.recording
        WHERE meeting_id IS NULL AND forgotten_at IS NULL AND completed_at < now() - interval '7 days'",
    );
    Ok(patience::execute(db, query).await?.rows_affected())
}

/// An object to remove.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Removable {
    /// The recording.
    pub id: String,
    /// When it was complete.
    pub completed_at: OffsetDateTime,
    /// The buckets of its objects: the one that counts, and those of uploads that were verified besides.
    pub buckets: Vec<String>,
    /// Their keys, in the same order.
    pub keys: Vec<String>,
}

/// The columns of a [`Removable`].
macro_rules! removable {
    () => {
        "r.id, r.completed_at, r.bucket || o.buckets AS buckets, r.object_key || o.keys AS keys"
    };
}

/// Objects of a recording that the recording itself does not name.
macro_rules! others {
    () => {
        "CROSS JOIN LATERAL (
          SELECT COALESCE(array_agg(u.bucket ORDER BY u.id), '{}') AS buckets, COALESCE(array_agg(u.object_key ORDER BY u.id), '{}') AS keys
          FROM reflector.upload u
          WHERE u.recording_id = r.id AND u.verified_at IS NOT NULL AND (u.bucket, u.object_key) <> (r.bucket, r.object_key)
        ) o"
    };
}

/// Stored recordings of meetings that are known, or were, that were complete before `before`; the oldest first, behind the one that
/// `after` names. What belongs to no meeting may be somebody else's.
pub async fn list_expired(
    db: &PgPool,
    before: OffsetDateTime,
    after: (OffsetDateTime, &str),
    limit: i64,
) -> Result<Vec<Removable>, sqlx::Error> {
    let query = sqlx::query_as(concat!(
        "-- recordings.list_expired
        SELECT ",
        removable!(),
        " FROM reflector.recording r ",
        others!(),
        " WHERE r.state = 'stored' AND (r.meeting_id IS NOT NULL OR r.forgotten_at IS NOT NULL)
          AND r.completed_at < $1 AND (r.completed_at, r.id) > ($2, $3)
        ORDER BY r.completed_at, r.id
        LIMIT $4",
    ))
    .bind(before)
    .bind(after.0)
    .bind(after.1)
    .bind(limit);
    patience::fetch_all(db, query).await
}

/// Stored recordings of meetings that are over and in which somebody did not agree to be recorded, behind the one with the id `after`.
/// While a meeting is on, people may still change their answers.
pub async fn list_denied(db: &PgPool, after: &str, limit: i64) -> Result<Vec<Removable>, sqlx::Error> {
    let query = sqlx::query_as(concat!(
        "-- recordings.list_denied
        SELECT ",
        removable!(),
        " FROM reflector.recording r
        LEFT JOIN reflector.meeting m ON m.id = r.meeting_id ",
        others!(),
        " WHERE r.denied AND r.state = 'stored' AND (m.id IS NULL OR NOT m.is_active OR m.end_date < now()) AND r.id > $1
        ORDER BY r.id
        LIMIT $2",
    ))
    .bind(after)
    .bind(limit);
    patience::fetch_all(db, query).await
}

/// Notes that nothing of a recording is left in the storage, because we removed it.
pub async fn note_deleted(db: &PgPool, id: &str, reason: DeletedReason) -> Result<(), sqlx::Error> {
    let query = sqlx::query(
        "-- recordings.note_deleted
        UPDATE reflector.recording SET deleted_at = now(), deleted_reason = $2 WHERE id = $1 AND deleted_at IS NULL",
    )
    .bind(id)
    .bind(reason.as_str());
    patience::execute(db, query).await.map(drop)
}
