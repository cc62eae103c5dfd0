//! How far meetings are that nobody has ended. All times are the database's.

use sqlx::{FromRow, PgPool};
use time::OffsetDateTime;

use crate::domain::lifecycle::Course;

/// A meeting that nobody has ended.
#[derive(Debug, Clone)]
pub struct Open {
    /// Its id.
    pub id: String,
    /// Until when it was made to last.
    pub end_date: OffsetDateTime,
    /// Whether anybody was ever seen in it.
    pub ever: bool,
    /// How far it is.
    pub course: Course,
    /// When its platform was last asked who is in it.
    pub asked_at: Option<OffsetDateTime>,
    /// When it was read.
    pub now: OffsetDateTime,
}

#[derive(FromRow)]
struct Row {
    id: String,
    end_date: OffsetDateTime,
    ever: bool,
    started_at: Option<OffsetDateTime>,
    empty_since: Option<OffsetDateTime>,
    asked_at: Option<OffsetDateTime>,
    now: OffsetDateTime,
}

impl From<Row> for Open {
    fn from(row: Row) -> Self {
        let course = Course { started_at: row.started_at, empty_since: row.empty_since, ended: None };
        let Row { id, end_date, ever, asked_at, now, .. } = row;
        Self { id, end_date, ever, course, asked_at, now }
    }
}

/// One page of the meetings that are on and may begin or end: those after the id `after` that somebody came to or whose time is over.
pub async fn list(db: &PgPool, after: &str, limit: i64) -> Result<Vec<Open>, sqlx::Error> {
    let rows = sqlx::query_as::<_, Row>(
        "-- lifecycle.list
        SELECT id, end_date, ever, started_at, empty_since, asked_at, now() AS now
        FROM reflector.meeting m
        CROSS JOIN LATERAL (
          SELECT EXISTS (
            SELECT FROM reflector.participant p WHERE p.meeting_id = m.id AND p.last_join_at IS NOT NULL
          ) AS ever
        ) seen
        WHERE is_active AND id > $1 AND (ever OR started_at IS NOT NULL OR end_date <= now())
        ORDER BY id
        LIMIT $2",
    )
    .bind(after)
    .bind(limit)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// Notes that `open` is as far as `course` says. `false` when somebody else has noted something meanwhile, or ended it: then it is looked
/// at again the next time.
pub async fn note(db: &PgPool, open: &Open, course: &Course) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query(
        "-- lifecycle.note
        UPDATE reflector.meeting SET
          started_at = $2,
          empty_since = $3,
          is_active = $4 IS NULL,
          ended_at = CASE WHEN $4 IS NOT NULL THEN $5 END,
          ended_reason = $4
        WHERE id = $1 AND is_active
          AND started_at IS NOT DISTINCT FROM $6 AND empty_since IS NOT DISTINCT FROM $7",
    )
    .bind(&open.id)
    .bind(course.started_at)
    .bind(course.empty_since)
    .bind(course.ended.map(crate::domain::lifecycle::EndedReason::as_str))
    .bind(open.now)
    .bind(open.course.started_at)
    .bind(open.course.empty_since)
    .execute(db)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// Notes that the platform of `open` is asked who is in it.
pub async fn note_question(db: &PgPool, open: &Open) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- lifecycle.note_question
        UPDATE reflector.meeting SET asked_at = $2 WHERE id = $1",
    )
    .bind(&open.id)
    .bind(open.now)
    .execute(db)
    .await
    .map(drop)
}

/// Begins the grace time of an empty meeting anew, for a visitor who is on the way in.
pub async fn expect_visitor(db: &PgPool, id: &str) -> Result<(), sqlx::Error> {
    sqlx::query(
        "-- lifecycle.expect_visitor
        UPDATE reflector.meeting SET empty_since = now() WHERE id = $1 AND is_active AND empty_since IS NOT NULL",
    )
    .bind(id)
    .execute(db)
    .await
    .map(drop)
}
