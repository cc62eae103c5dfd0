//! Every statement of the service can be answered from an index, however large the tables grow.
//!
//! The statements come from the source text, so one that is added is checked without being named here. With scans of whole tables
//! switched off, Postgres plans one only where no index serves; that does not depend on how many rows a test has put in.

use std::path::Path;

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::postgres;
use crate::statements::{self, Statement};

/// Tables that stay small whatever happens: they grow with the number of hosts, buckets and jobs, not with meetings.
const SMALL: [&str; 6] = ["agent", "agent_secret", "bucket_scan", "job", "pg_database", "whereby_budget"];

/// What is added to statements of which only the beginning stands in the source; each way of going on is checked.
const GOES_ON: &[(&str, &str)] = &[
    ("receipts.page", "$1 ORDER BY position DESC LIMIT $2"),
    ("receipts.page", "$1 AND room = $2 ORDER BY position DESC LIMIT $3"),
    ("receipts.page", "$1 AND COALESCE(agent, address) = $2 ORDER BY position DESC LIMIT $3"),
    ("receipts.page", "$1 AND verdict = $2 ORDER BY position DESC LIMIT $3"),
    ("ops_recordings.page", " ORDER BY completed_at DESC, id LIMIT $1"),
    ("ops_recordings.page", " AND state = $1 ORDER BY completed_at DESC, id LIMIT $2"),
    (
        "ops_recordings.page",
        " AND completed_at <= $1 AND (completed_at < $1 OR id > $2) ORDER BY completed_at DESC, id LIMIT $3",
    ),
    ("ops_webhooks.page", "$1 ORDER BY d.position DESC LIMIT $2"),
    ("ops_webhooks.page", "$1 AND d.state = $2 ORDER BY d.position DESC LIMIT $3"),
];

/// What a parameter can be whose type only the driver tells.
const TYPES: [&str; 6] = ["interval", "timestamptz", "float8", "bigint", "boolean", "text"];

#[tokio::test]
async fn no_statement_reads_a_whole_table_that_can_be_large() {
    let (pool, _) = postgres::database().await;
    let mut connection = ready(&pool).await;
    let statements = statements::all_below(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(statements.len() > 50, "only {} statements were found", statements.len());
    let mut objections = Vec::new();
    for statement in statements.iter().flat_map(completed).filter(is_planned) {
        let found = match plan(&mut connection, &statement.sql).await {
            Ok(plan) => whole_reads(&mut connection, &plan).await,
            Err(error) => vec![error.to_string()],
        };
        objections.extend(found.iter().map(|found| format!("{}: {found}", statement.name)));
    }
    assert!(objections.is_empty(), "{}", objections.join("\n"));
}

#[tokio::test]
async fn a_statement_without_an_index_is_noticed() {
    let (pool, _) = postgres::database().await;
    let mut connection = ready(&pool).await;
    for (sql, expected) in [
        ("SELECT id FROM reflector.meeting WHERE id = $1", ""),
        ("SELECT id FROM reflector.meeting WHERE room_mode = $1", "reads all of meeting"),
        (
            "UPDATE reflector.meeting SET is_active = false WHERE recording_trigger = $1",
            "reads all of meeting",
        ),
        ("SELECT count(*) FROM reflector.meeting_event WHERE name = $1", "reads all of meeting_event"),
        ("SELECT id FROM reflector.meeting_event ORDER BY id LIMIT 10", ""),
        ("SELECT id FROM reflector.meeting_event ORDER BY id", "walks all of meeting_event_pkey"),
        ("SELECT host FROM reflector.agent WHERE host = $1", ""),
    ] {
        let plan = plan(&mut connection, sql).await.unwrap();
        assert_eq!(whole_reads(&mut connection, &plan).await.join(", "), expected, "{sql}");
    }
}

async fn ready(pool: &sqlx::PgPool) -> PgConnection {
    let mut connection = pool.acquire().await.unwrap().detach();
    // Joins that may pay with few rows are off as well: a nested loop looks each row up.
    let settings = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_hashjoin = off; \
                    SET enable_mergejoin = off";
    sqlx::raw_sql(settings).execute(&mut connection).await.unwrap();
    connection
}

fn completed(statement: &Statement) -> Vec<Statement> {
    let with = |end: &str| Statement { sql: format!("{}{end}", statement.sql), ..statement.clone() };
    let ends = || GOES_ON.iter().filter(|(name, _)| *name == statement.name);
    if ends().next().is_none() {
        return vec![statement.clone()];
    }
    ends().map(|(_, end)| with(end)).collect()
}

/// Whether Postgres makes a plan for it: settings, locks and definitions have none.
fn is_planned(statement: &Statement) -> bool {
    let lines = statement.sql.lines().map(str::trim);
    let word = lines.filter(|line| !line.starts_with("--")).flat_map(str::split_whitespace).next();
    word.is_some_and(|word| {
        ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH", "TABLE", "MERGE"].contains(&word)
    })
}

/// The plan for whatever values.
async fn plan(connection: &mut PgConnection, sql: &str) -> Result<Value, sqlx::Error> {
    prepare(connection, sql).await?;
    let count: i32 = sqlx::query_scalar(
        "SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = 'checked'",
    )
    .fetch_one(&mut *connection)
    .await?;
    let values = vec!["NULL"; usize::try_from(count).unwrap()].join(", ");
    let values = if values.is_empty() { values } else { format!("({values})") };
    let explain = format!("EXPLAIN (FORMAT JSON) EXECUTE checked{values}");
    let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await;
    sqlx::raw_sql("DEALLOCATE checked").execute(&mut *connection).await?;
    let text: String = rows?[0].try_get_unchecked(0)?;
    Ok(serde_json::from_str(&text).unwrap())
}

/// Prepares a statement as it stands, else with types for one or two of its parameters or for all of them.
async fn prepare(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    let as_it_stands = prepare_with(connection, &[], sql).await;
    if as_it_stands.is_ok() {
        return as_it_stands;
    }
    let count = (1..=30).take_while(|number| sql.contains(&format!("${number}"))).count();
    let mut choices: Vec<Vec<&str>> = TYPES.iter().map(|one| vec![*one; count]).collect();
    for (first, second) in (0..count).flat_map(|first| (first..count).map(move |second| (first, second))) {
        for (one, other) in TYPES.iter().flat_map(|one| TYPES.iter().map(move |other| (one, other))) {
            let mut types = vec!["unknown"; count];
            (types[second], types[first]) = (other, one);
            choices.push(types);
        }
    }
    for types in choices {
        if prepare_with(connection, &types, sql).await.is_ok() {
            return Ok(());
        }
    }
    as_it_stands
}

async fn prepare_with(connection: &mut PgConnection, types: &[&str], sql: &str) -> Result<(), sqlx::Error> {
    let types = if types.is_empty() { String::new() } else { format!("({})", types.join(", ")) };
    let prepare = format!("PREPARE checked{types} AS {sql}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(connection).await.map(drop)
}

/// What a plan reads from end to end.
async fn whole_reads(connection: &mut PgConnection, plan: &Value) -> Vec<String> {
    let mut reads = Vec::new();
    walk(&plan[0]["Plan"], false, &mut reads);
    let mut objections = Vec::new();
    for read in reads {
        match read {
            Read::Table(table) if !SMALL.contains(&table.as_str()) => {
                objections.push(format!("reads all of {table}"));
            }
            Read::Index(index) if !is_small_index(connection, &index).await => {
                objections.push(format!("walks all of {index}"));
            }
            Read::Table(_) | Read::Index(_) => {}
        }
    }
    objections
}

/// Something that is read without a condition on where to begin and where to stop.
enum Read {
    Table(String),
    Index(String),
}

/// `stops_early`: a limit above takes rows in the order in which this node finds them.
fn walk(node: &Value, stops_early: bool, reads: &mut Vec<Read>) {
    let text = |member: &str| node[member].as_str().unwrap_or_default().to_owned();
    let kind = text("Node Type");
    if kind == "Seq Scan" {
        reads.push(Read::Table(text("Relation Name")));
    }
    if kind.contains("Index") && node["Index Cond"].is_null() && !stops_early {
        reads.push(Read::Index(text("Index Name")));
    }
    let stops_early = match kind.as_str() {
        "Limit" => true,
        "Sort" | "Aggregate" | "Hash" | "WindowAgg" | "Materialize" | "Unique" => false,
        _ => stops_early,
    };
    for child in node["Plans"].as_array().into_iter().flatten() {
        walk(child, stops_early, reads);
    }
}

/// Whether an index holds few rows: one of a small table, or one of those rows alone that wait for something.
async fn is_small_index(connection: &mut PgConnection, index: &str) -> bool {
    let (table, is_partial): (String, bool) = sqlx::query_as(
        "SELECT indrelid::regclass::text, indpred IS NOT NULL FROM pg_index
        WHERE indexrelid = COALESCE(to_regclass('reflector.' || $1), to_regclass('pg_catalog.' || $1))",
    )
    .bind(index)
    .fetch_one(connection)
    .await
    .unwrap();
    is_partial || SMALL.contains(&table.trim_start_matches("reflector."))
}
