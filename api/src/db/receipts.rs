//! Receipts of what senders brought.

use sqlx::{FromRow, PgPool, Postgres, QueryBuilder};
use time::OffsetDateTime;

use super::patience::{fetch_all, patiently};
use crate::domain::receipt::{Row, Verdict};

/// The most rows that one call of [`prune`] looks at.
const OLDEST: i64 = 10_000;

/// Writes receipts. They are not waited for until they are on disk: after a crash of the database the last ones may be missing.
pub async fn store(db: &PgPool, rows: &[Row]) -> Result<(), sqlx::Error> {
    let each = |number: fn(&Row) -> u32| -> Vec<i32> { rows.iter().map(|row| whole(number(row))).collect() };
    let kinds = || rows.iter().map(|row| &row.receipt.kind);
    let statement = sqlx::query(
        "-- receipts.store
        INSERT INTO reflector.receipt (received_at, requests, request_id, route, status, verdict, code, room, stored, duplicates,
          rejected, agent, address, user_agent, duration_ms, missed)
        SELECT *
        FROM unnest($1::timestamptz[], $2::int[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[],
          $9::int[], $10::int[], $11::int[], $12::text[], $13::text[], $14::text[], $15::int[], $16::bigint[])",
    )
    .bind(rows.iter().map(|row| row.receipt.received_at).collect::<Vec<_>>())
    .bind(each(|row| row.requests))
    .bind(rows.iter().map(|row| row.receipt.request_id.as_str()).collect::<Vec<_>>())
    .bind(kinds().map(|kind| kind.route.as_str()).collect::<Vec<_>>())
    .bind(kinds().map(|kind| i16::try_from(kind.status).unwrap_or(i16::MAX)).collect::<Vec<_>>())
    .bind(kinds().map(|kind| kind.verdict.as_str()).collect::<Vec<_>>())
    .bind(kinds().map(|kind| kind.code.map(contract::problem::ProblemCode::as_str)).collect::<Vec<_>>())
    .bind(kinds().map(|kind| kind.room.as_deref()).collect::<Vec<_>>())
    .bind(each(|row| row.receipt.counts.stored))
    .bind(each(|row| row.receipt.counts.duplicates))
    .bind(each(|row| row.receipt.counts.rejected))
    .bind(kinds().map(|kind| kind.agent.as_deref()).collect::<Vec<_>>())
    .bind(kinds().map(|kind| kind.address.as_deref()).collect::<Vec<_>>())
    .bind(kinds().map(|kind| kind.user_agent.as_deref()).collect::<Vec<_>>())
    .bind(each(|row| u32::try_from(row.receipt.duration.as_millis()).unwrap_or(u32::MAX)))
    .bind(rows.iter().map(|row| i64::try_from(row.missed).unwrap_or(i64::MAX)).collect::<Vec<_>>());
    patiently(async {
        let mut transaction = db.begin().await?;
        sqlx::query("-- receipts.store\nSET LOCAL synchronous_commit = off")
            .execute(&mut *transaction)
            .await?;
        statement.execute(&mut *transaction).await?;
        transaction.commit().await
    })
    .await
}

fn whole(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Removes the oldest receipts: those from before `cutoff`, and those beyond the newest `most`. Returns how many; more may be left
/// when it is not zero.
pub async fn prune(db: &PgPool, cutoff: OffsetDateTime, most: i64) -> Result<u64, sqlx::Error> {
    let statement = sqlx::query(
        "-- receipts.prune
        WITH newest AS (
          SELECT position FROM reflector.receipt ORDER BY position DESC LIMIT 1
        ), oldest AS (
          SELECT position, received_at FROM reflector.receipt ORDER BY position LIMIT $3
        )
        DELETE FROM reflector.receipt
        WHERE position = ANY(ARRAY(
          SELECT oldest.position FROM oldest, newest
          WHERE oldest.received_at < $1 OR oldest.position <= newest.position - $2
        ))",
    )
    .bind(cutoff)
    .bind(most)
    .bind(OLDEST);
    Ok(super::patience::execute(db, statement).await?.rows_affected())
}

/// Which receipts are looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those that speak of this room.
    pub room: Option<String>,
    /// Those of this sender: its name where it says one, else its address.
    pub sender: Option<String>,
    /// Those with this verdict.
    pub verdict: Option<Verdict>,
}

/// A receipt, as it is read.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StoredReceipt {
    /// Its place in the order of writing.
    pub position: i64,
    /// When the first of its requests came.
    pub received_at: OffsetDateTime,
    /// How many requests there were.
    pub requests: i32,
    /// The first one's id.
    pub request_id: String,
    /// Method and path.
    pub route: String,
    /// The answer's status.
    pub status: i16,
    /// What became of them.
    pub verdict: String,
    /// Why not, if not.
    pub code: Option<String>,
    /// The room.
    pub room: Option<String>,
    /// How many events are new.
    pub stored: i32,
    /// How many were there before.
    pub duplicates: i32,
    /// How many were refused.
    pub rejected: i32,
    /// Who the sender said it was.
    pub agent: Option<String>,
    /// Where its connection came from.
    pub address: Option<String>,
    /// The program that sent it, as it says.
    pub user_agent: Option<String>,
    /// The longest answer, in milliseconds.
    pub duration_ms: i32,
    /// How many requests before got no receipt.
    pub missed: i64,
}

/// The newest receipts before position `before`, at most `limit` of them.
pub async fn page(
    db: &PgPool,
    filter: &Filter,
    before: i64,
    limit: i64,
) -> Result<Vec<StoredReceipt>, sqlx::Error> {
    let mut query = QueryBuilder::<Postgres>::new(
        "-- receipts.page
        SELECT position, received_at, requests, request_id, route, status, verdict, code, room, stored, duplicates, rejected,
          agent, address, user_agent, duration_ms, missed
        FROM reflector.receipt
        WHERE position < ",
    );
    query.push_bind(before);
    if let Some(room) = &filter.room {
        query.push(" AND room = ").push_bind(room);
    }
    if let Some(sender) = &filter.sender {
        query.push(" AND COALESCE(agent, address) = ").push_bind(sender);
    }
    if let Some(verdict) = filter.verdict {
        query.push(" AND verdict = ").push_bind(verdict.as_str());
    }
    query.push(" ORDER BY position DESC LIMIT ").push_bind(limit);
    fetch_all(db, query.build_query_as()).await
}

/// What is known of a sender by what its requests say. Only the names of enrolled and revoked agents are ours: the rest is claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "lowercase")]
pub enum Standing {
    /// It came where Whereby's webhooks do.
    Whereby,
    /// It bears the name of an agent that may sign.
    Enrolled,
    /// It bears the name of an agent that once might.
    Revoked,
    /// It bears a name that no agent has.
    Unknown,
    /// It has no name, and says that it is our agent.
    Sharing,
    /// It says nothing of the kind.
    Stranger,
}

impl Standing {
    /// Whether something of ours is likely to have sent it.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Whereby | Self::Enrolled | Self::Revoked | Self::Sharing)
    }
}

/// Requests that did not go well, by sender. Those without a valid signature are one group for each standing, and one for each name
/// that was enrolled: what strangers call themselves, and from how many addresses, makes no more of them.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Trouble {
    /// What became of them.
    pub verdict: String,
    /// What is known of the sender.
    pub standing: Standing,
    /// The sender, if there is but one: its name where that was enrolled, else its address.
    pub sender: Option<String>,
    /// From how many addresses they came.
    pub addresses: i64,
    /// The commonest reason.
    pub code: Option<String>,
    /// How many there were.
    pub requests: i64,
    /// The latest.
    pub latest_at: OffsetDateTime,
}

/// What did not go well since `since`, the most frequent first.
pub async fn trouble(db: &PgPool, since: OffsetDateTime) -> Result<Vec<Trouble>, sqlx::Error> {
    let query = sqlx::query_as(
        "-- receipts.trouble
        WITH came AS (
          SELECT r.verdict, r.code, r.requests, r.received_at, r.address, COALESCE(s.name, r.address) AS sender,
            CASE
              WHEN r.route = 'POST /v1/whereby' THEN 'whereby'
              WHEN s.revoked_at IS NOT NULL THEN 'revoked'
              WHEN s.name IS NOT NULL THEN 'enrolled'
              WHEN r.agent IS NOT NULL THEN 'unknown'
              WHEN r.user_agent LIKE 'reflector-agent/%' THEN 'sharing'
              ELSE 'stranger'
            END AS standing
          FROM reflector.receipt r LEFT JOIN reflector.agent_secret s ON s.name = r.agent
          WHERE r.received_at >= $1 AND r.verdict IN ('rejected', 'unauthorised', 'limited', 'failed')
        )
        SELECT verdict, standing, CASE WHEN count(DISTINCT sender) = 1 THEN min(sender) END AS sender,
          count(DISTINCT address) AS addresses, mode() WITHIN GROUP (ORDER BY code) AS code,
          sum(requests)::bigint AS requests, max(received_at) AS latest_at
        FROM came
        GROUP BY verdict, standing,
          CASE WHEN verdict <> 'unauthorised' OR standing IN ('enrolled', 'revoked') THEN sender END
        ORDER BY requests DESC
        LIMIT 20",
    )
    .bind(since);
    fetch_all(db, query).await
}
