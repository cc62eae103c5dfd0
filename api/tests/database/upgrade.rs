//! A database of an earlier release, with what it had stored, under this one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::{postgres, program};

/// The last migration before recordings, Whereby and the rest of what frontends use.
const EARLIER: i64 = 2;

/// What a service of that release stored: 300 meetings of 100 rooms with all that belongs to them.
const STORED: &str = "
INSERT INTO reflector.room
SELECT 'room-' || n, 'Room ' || n, 'user-' || n % 7, now() - n * interval '1 hour', 'jitsi', 'group',
  (ARRAY['none', 'local', 'cloud'])[1 + n % 3], (ARRAY['none', 'prompt', 'automatic'])[1 + n % 3], n % 2 = 0, n % 5 = 0,
  false, '', '', CASE WHEN n % 4 = 0 THEN 'https://hook.example.com/' || n END, CASE WHEN n % 4 = 0 THEN 'secret' END
FROM generate_series(1, 100) n;

INSERT INTO reflector.meeting
SELECT 'meeting-' || n, CASE WHEN n % 10 > 0 THEN 'room-' || 1 + n % 100 END, 'reflector-room-' || n % 150, 'jitsi',
  now() - n * interval '1 hour', now() + (8 - n) * interval '1 hour', n % 3 > 0, false, 'group', 'cloud', 'prompt'
FROM generate_series(1, 300) n;

INSERT INTO reflector.meeting_event (id, meeting_id, name, occurred_at, received_at, data)
SELECT 'evt_' || n, 'meeting-' || 1 + n % 300, 'muc-occupant-joined', now() - n * interval '1 second', now(),
  jsonb_build_object('occupant_id', n, 'display_name', 'Zoë ' || n)
    || CASE WHEN n % 600 = 2 THEN jsonb_build_object('timestamp', 'its own') ELSE '{}' END
FROM generate_series(1, 6000) n;

INSERT INTO reflector.source_boot (boot_id, event_id, source, started_at, data)
SELECT 'boot-' || n, 'evt_boot_' || n, 'prosody-' || n % 3, now() - n * interval '1 day', '{}' FROM generate_series(1, 30) n;

INSERT INTO reflector.participant (meeting_id, occupant_id, breakout_room_id, first_join_at, last_join_at, last_join_seq,
  last_join_boot, last_left_at, last_left_seq, left_reason)
SELECT 'meeting-' || 1 + n % 300, 'occupant-' || n, CASE WHEN n % 11 = 0 THEN 'side' ELSE '' END, now() - interval '1 hour',
  now() - interval '30 minutes', n, 'boot-' || 1 + n % 30, CASE WHEN n % 2 = 0 THEN now() END, n + 1, 'left'
FROM generate_series(1, 3000) n;

INSERT INTO reflector.recording_session (meeting_id, session_id, first_on_at, last_on_at, last_on_seq, mode)
SELECT 'meeting-' || n, 'session-' || n, now(), now(), n, 'file' FROM generate_series(1, 100) n;

INSERT INTO reflector.room_end SELECT 'meeting-' || n, '', now(), n FROM generate_series(3, 300, 3) n;

INSERT INTO reflector.recording
SELECT 'rec-' || n, 'meeting-' || 1 + n % 300, 'session-' || n, 'jibri-1', 'file-' || n || '.mp4', 'completed', now(), 1000 + n, 60000,
  repeat('a', 64), CASE WHEN n % 2 = 0 THEN 'recordings' END, CASE WHEN n % 2 = 0 THEN 'key-' || n END
FROM generate_series(1, 400) n;

INSERT INTO reflector.upload (id, recording_id, meeting_id, session_id, host, file_name, size_bytes, sha256, bucket, object_key,
  storage_id, part_size_bytes, part_count, state, verified_at)
SELECT 'upload-' || n, 'rec-' || n, 'meeting-' || 1 + n % 300, 'session-' || n, 'jibri-1', 'file-' || n || '.mp4', 1000 + n,
  repeat('a', 64), 'recordings', 'key-' || n, 'multipart-' || n, 5242880, 1, 'verified', now()
FROM generate_series(2, 300, 2) n;

INSERT INTO reflector.agent
SELECT 'host-' || n, 'jitsi-' || n, '0.1.0', ARRAY['prosody'], now(), now(), now(), now(), '{}' FROM generate_series(1, 5) n;
";

#[tokio::test]
async fn what_an_earlier_release_stored_is_there_after_the_migration_and_is_served() {
    let pool = earlier_database("upgrade").await;
    sqlx::raw_sql(STORED).execute(&pool).await.unwrap();
    let mut tables = columns(&pool).await;
    // Whether a meeting is on is decided by other rules now, see below.
    let of_meetings = tables.get_mut("meeting").unwrap();
    *of_meetings = of_meetings.replace(", is_active", "");
    let before = contents(&pool, &tables).await;
    assert_eq!(before.len(), 10, "every table of that release has rows here");

    api::db::migrate(&pool).await.unwrap();

    assert_eq!(contents(&pool, &tables).await, before, "what was stored has changed");
    assert_eq!(
        applied(&pool).await,
        api::db::MIGRATIONS.iter().map(|migration| migration.version).collect::<Vec<_>>()
    );
    let room = api::db::rooms::find(&pool, "room-8").await.unwrap().unwrap();
    assert_eq!(room.name, "Room 8");
    let record = api::db::record::read(&pool, "meeting-3", 0).await.unwrap().unwrap();
    // The participants are numbers 2, 302 … 2702, the files of recordings 2 and 302.
    assert_eq!((record.occupants.len(), record.events.events.len(), record.files.len()), (10, 20, 2));
    let view: Value = sqlx::query_scalar("SELECT events FROM meeting WHERE id = 'meeting-3'")
        .fetch_one(&pool)
        .await
        .unwrap();
    let told: Vec<Value> =
        record.events.events.iter().map(|event| serde_json::from_str(event.data.get()).unwrap()).collect();
    assert_eq!(view.as_array().unwrap().iter().map(|event| event["data"].clone()).collect::<Vec<_>>(), told);
    let stored: i64 = sqlx::query_scalar("SELECT count(*) FROM reflector.recording WHERE state = 'stored'")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(stored, 150, "what had been verified is known as stored");
    let wrong: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM reflector.meeting
        WHERE is_active <> (substr(id, 9)::int % 3 > 0 AND end_date >= now() - interval '1 day')",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(wrong, 0, "what ended long ago is over, and the rest is as it was");
    api::db::migrate(&pool).await.unwrap();
}

#[tokio::test]
async fn a_migration_that_was_cut_off_goes_on_at_the_next_start() {
    let pool = earlier_database("cut_off").await;
    let last = api::db::MIGRATIONS.iter().map(|migration| migration.version).max().unwrap();
    release(last - 1).run(&pool).await.unwrap();
    assert_ne!(applied(&pool).await.last(), Some(&last));
    api::db::migrate(&pool).await.unwrap();
    assert_eq!(applied(&pool).await.last(), Some(&last));
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_and_the_message_says_what_to_do() {
    let options = postgres::empty_database("of_a_newer_release").await;
    let pool = api::db::pool(options.clone());
    api::db::migrate(&pool).await.unwrap();
    let newer =
        "INSERT INTO public._sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (9999, 'of a newer release', true, '', 0)";
    sqlx::query(newer).execute(&pool).await.unwrap();
    let state = program::StateDir::new();
    let mut command = program::command(state.path());
    let output = command.arg("migrate").env("DATABASE_URL", url(&options)).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(
        said.contains(
            "a newer release has changed the database (migration 9999); run that release, or restore a backup"
        ),
        "{said}"
    );
}

fn url(options: &PgConnectOptions) -> String {
    let (user, database) = (options.get_username(), options.get_database().unwrap());
    format!("postgresql://{user}@localhost/{database}?host={}", options.get_socket().unwrap().display())
}

/// The migrations as they were when this one was the last.
fn release(last: i64) -> Migrator {
    let migrations =
        api::db::MIGRATIONS.iter().filter(|migration| migration.version <= last).cloned().collect();
    Migrator { migrations: Cow::Owned(migrations), ..Migrator::DEFAULT }
}

async fn earlier_database(name: &str) -> PgPool {
    let options = postgres::empty_database(name).await;
    let pool = api::db::pool(options.clone());
    release(EARLIER).run(&pool).await.unwrap();
    // Where tables are looked for is settled when a session begins.
    pool.close().await;
    api::db::pool(options)
}

async fn applied(pool: &PgPool) -> Vec<i64> {
    sqlx::query_scalar("SELECT version FROM public._sqlx_migrations WHERE success ORDER BY version")
        .fetch_all(pool)
        .await
        .unwrap()
}

/// Each table's columns.
async fn columns(pool: &PgPool) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT table_name::text, string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position)
        FROM information_schema.columns
        WHERE table_schema = 'reflector'
        GROUP BY table_name",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// How many rows each table has, and a digest of these columns of all of them. Tables without rows are left out.
async fn contents(pool: &PgPool, tables: &BTreeMap<String, String>) -> BTreeMap<String, (i64, String)> {
    let mut contents = BTreeMap::new();
    for (table, columns) in tables {
        let statement = format!(
            "SELECT count(*), COALESCE(md5(string_agg(line, '' ORDER BY line)), '')
            FROM (SELECT md5(ROW({columns})::text) AS line FROM reflector.{table}) l"
        );
        let (count, digest): (i64, String) =
            sqlx::query_as(AssertSqlSafe(statement)).fetch_one(pool).await.unwrap();
        if count > 0 {
            contents.insert(table.clone(), (count, digest));
        }
    }
    contents
}
