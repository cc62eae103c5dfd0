//! What the database makes of what is told is what `domain::recording_state` says.

use api::db::recordings::{Loss, Sight, Witness, found, missed};
use api::domain::recording_object::WherebyFile;
use api::domain::recording_state::Whereabouts;
use contract::event::Event;
use serde_json::json;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use crate::scene::{ROOM, Scene, file};

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

/// Who tells of one recording by Whereby.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Teller {
    /// Its webhook.
    Webhook,
    /// The storage: it is there.
    Sight,
    /// The storage: it is gone, a moment later.
    Loss,
}

async fn tell(scene: &Scene, teller: Teller) {
    let name = file(ROOM, 2);
    let seen_at = datetime!(2026-03-01 10:30 UTC);
    let key = format!("folder/{name}");
    match teller {
        Teller::Webhook => {
            let body = json!({
                "id": "e1", "event": "recording.finished", "room": ROOM, "timestamp": "2026-03-01T10:31:00Z",
                "data": {"filename": name, "status": "completed"},
            });
            store(scene, Event::parse(body.to_string().as_bytes()).unwrap()).await;
        }
        Teller::Sight => {
            let file = WherebyFile::parse(&name).unwrap();
            let sight =
                Sight { file, bucket: "b".into(), key, size_bytes: Some(5), written_at: seen_at, seen_at };
            found(&scene.db, &[sight], Witness::Notification).await.unwrap();
        }
        Teller::Loss => {
            let loss = Loss { bucket: "b".into(), key, at: seen_at + Duration::seconds(1) };
            missed(&scene.db, &[loss]).await.unwrap();
        }
    }
}

async fn store(scene: &Scene, event: Event) {
    scene.state.ingest.store(vec![event], 100).await.unwrap();
}

#[tokio::test]
async fn whereby_s_webhook_and_the_storage_make_one_recording_whichever_comes_first() {
    let mut told = Vec::new();
    for order in [[Teller::Webhook, Teller::Sight], [Teller::Sight, Teller::Webhook]] {
        let scene = Scene::new().await;
        for teller in order {
            tell(&scene, teller).await;
        }
        let rows: Vec<(String, String, String, OffsetDateTime)> =
            sqlx::query_as("SELECT id, file, status, completed_at FROM reflector.recording")
                .fetch_all(&scene.db)
                .await
                .unwrap();
        told.push((scene.rows().await, rows));
    }
    assert_eq!(told[0], told[1]);
    let row = &told[0].0[0];
    assert_eq!(
        (row.state.as_str(), row.size_bytes, row.meeting_id.as_deref()),
        ("stored", Some(5), Some("m"))
    );
    assert_eq!(row.object_key, Some(format!("folder/{}", file(ROOM, 2))));
}

#[tokio::test]
async fn a_removal_counts_also_when_it_is_told_before_what_was_removed() {
    use Teller::{Loss, Sight, Webhook};
    for order in [
        &[Sight, Loss][..],
        &[Loss, Sight],
        &[Webhook, Sight, Loss],
        &[Webhook, Loss, Sight],
        &[Loss, Webhook, Sight],
        &[Loss, Sight, Webhook],
        &[Sight, Loss, Webhook],
        &[Sight, Webhook, Loss],
    ] {
        let scene = Scene::new().await;
        for teller in order {
            tell(&scene, *teller).await;
        }
        let rows = scene.rows().await;
        assert_eq!(rows.len(), 1, "{order:?}");
        assert_eq!((&*rows[0].state, rows[0].meeting_id.as_deref()), ("missing", Some("m")), "{order:?}");
        let told: i64 = sqlx::query_scalar("SELECT count(*) FROM reflector.webhook_fact")
            .fetch_one(&scene.db)
            .await
            .unwrap();
        let is_told = order.iter().position(|t| *t == Sight) < order.iter().position(|t| *t == Loss);
        assert_eq!(told, i64::from(is_told), "{order:?}");
    }
    let scene = Scene::new().await;
    scene.execute("UPDATE reflector.meeting SET room_name = 'another'").await;
    tell(&scene, Loss).await;
    assert_eq!(scene.rows().await, [], "what others remove is no business of ours");
}

#[tokio::test]
async fn a_notice_says_nothing_of_another_meeting_s_recording() {
    let scene = Scene::new().await;
    scene.meeting("m2", "other").await;
    tell(&scene, Teller::Sight).await;
    let before = scene.rows().await;
    let notice = json!({
        "id": before[0].id, "room_name": "other", "recording_file": "/mine.mp4", "recording_status": "completed",
        "timestamp": "2020-01-01T00:00:00Z", "bucket": "b", "object_key": "mine",
    });
    store(&scene, contract::recording::parse(notice.to_string().as_bytes()).unwrap()).await;
    assert_eq!(scene.rows().await, before);
    // Nor is it believed when it comes first.
    let scene = Scene::new().await;
    scene.meeting("m2", "other").await;
    store(&scene, contract::recording::parse(notice.to_string().as_bytes()).unwrap()).await;
    tell(&scene, Teller::Sight).await;
    assert_eq!(scene.rows().await, before);
}
