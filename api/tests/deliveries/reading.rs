//! The guide's SQL.

use serde_json::{Value, json};
use sqlx::{ConnectOptions, Connection};

use crate::app::meeting;
use crate::support::postgres;

#[tokio::test]
async fn the_guides_queries_run_as_they_are_written() {
    let options = postgres::empty_database("guide").await;
    let pool = api::db::pool(options.clone());
    api::db::migrate(&pool).await.unwrap();
    api::db::migrate(&pool).await.unwrap();
    meeting(&pool, "meeting-uuid", "r").await;
    sqlx::query(
        "INSERT INTO reflector.meeting_event (id, meeting_id, name, occurred_at, received_at, data) VALUES \
         ('1', 'meeting-uuid', 'muc-occupant-joined', '2025-01-15T10:30:00Z', '2025-01-15T10:30:00.123456Z', \
          '{\"user_id\": \"participant-123\", \"display_name\": \"John Doe\"}'), \
         ('2', 'meeting-uuid', 'muc-occupant-left', '2025-01-15T10:31:00Z', '2025-01-15T10:31:01Z', '{}')",
    )
    .execute(&pool)
    .await
    .unwrap();

    // A session as psql opens it: its user is named like the schema.
    let mut psql = options.connect().await.unwrap();
    let events: Value = sqlx::query_scalar("SELECT events FROM meeting WHERE id = 'meeting-uuid'")
        .fetch_one(&mut psql)
        .await
        .unwrap();
    let expected = json!([
        {
            "type": "muc-occupant-joined", "timestamp": "2025-01-15T10:30:00.123456Z",
            "data": {"timestamp": "2025-01-15T10:30:00.000Z", "user_id": "participant-123", "display_name": "John Doe"},
        },
        {
            "type": "muc-occupant-left", "timestamp": "2025-01-15T10:31:01.000000Z",
            "data": {"timestamp": "2025-01-15T10:31:00.000Z"},
        },
    ]);
    assert_eq!(events, expected);
    let joins: i32 = sqlx::query_scalar(
        r#"SELECT json_array_length(
          json_extract(events, '$[*] ? (@.type == "muc-occupant-joined")')
        ) as total_joins FROM meeting WHERE id = 'meeting-uuid'"#,
    )
    .fetch_one(&mut psql)
    .await
    .unwrap();
    assert_eq!(joins, 1);
    psql.close().await.unwrap();
}

#[tokio::test]
async fn a_database_that_a_newer_release_has_changed_is_refused() {
    let pool = api::db::pool(postgres::empty_database("newer").await);
    api::db::migrate(&pool).await.unwrap();
    sqlx::query(
        "INSERT INTO public._sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'of a newer release', true, '', 0)",
    )
    .execute(&pool)
    .await
    .unwrap();
    let error = api::db::migrate(&pool).await.unwrap_err();
    assert!(matches!(error, sqlx::migrate::MigrateError::VersionMissing(9999)), "{error}");
}
