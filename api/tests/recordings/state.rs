//! The state that the database reads from the moments is the one that `domain::recording_state` reads from them.

use api::domain::recording_state::Whereabouts;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::scene::Scene;

#[tokio::test]
async fn the_database_reads_every_state_as_the_rule_does() {
    let scene = Scene::new().await;
    let moments: Vec<Option<OffsetDateTime>> = [None, Some(1), Some(2)]
        .into_iter()
        .map(|second| second.map(|second| datetime!(2026-03-01 10:00 UTC) + Duration::seconds(second)))
        .collect();
    let mut seen = Vec::new();
    for announced_at in &moments[..2] {
        for found_at in &moments {
            for missed_at in &moments {
                for deleted_at in &moments[..2] {
                    let known = Whereabouts {
                        announced_at: *announced_at,
                        found_at: *found_at,
                        missed_at: *missed_at,
                        deleted_at: *deleted_at,
                    };
                    let state: String = sqlx::query_scalar(
                        "INSERT INTO reflector.recording (id, file, status, completed_at, bucket, object_key, announced_at, found_at,
                           stored_at, missed_at, deleted_at, deleted_reason)
                         VALUES (gen_random_uuid()::text, 'f', 's', now(), 'b', 'k', $1, $2, $2, $3, $4,
                           CASE WHEN $4 IS NOT NULL THEN 'retention' END)
                         RETURNING state",
                    )
                    .bind(announced_at)
                    .bind(found_at)
                    .bind(missed_at)
                    .bind(deleted_at)
                    .fetch_one(&scene.db)
                    .await
                    .unwrap();
                    assert_eq!(state, known.state().as_str(), "{known:?}");
                    seen.push(state);
                }
            }
        }
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, ["announced", "deleted", "missing", "on_host", "stored"]);
}
