//! Agents' signs of life.

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::scene::Scene;

const PATH: &str = "/v1/agents/heartbeat";

fn heartbeat(changes: &Value) -> Value {
    let mut body = json!({
        "version": "0.1.0", "host": "jitsi-1", "host_id": "a1b2", "started_at": "2026-01-31T10:00:00.000Z",
        "roles": ["prosody", "jibri"], "backlog": {"events": 3, "rooms": 1, "bytes": 900, "oldest_at": "2026-01-31T10:29:00.000Z"},
        "parked": 0, "delivered_total": 12, "uploads": {"active": 1, "waiting": 0, "bytes_left": 5},
        "disk": [{"path": "/var/recordings", "free_bytes": 1, "total_bytes": 2}],
        "sent_at": "2026-01-31T10:30:00.000Z", "of_a_later_release": true,
    });
    for (name, value) in changes.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn the_last_one_of_each_host_is_kept_whole_and_answered_with_the_time() {
    let scene = Scene::new().await;
    let before = OffsetDateTime::now_utc();
    for (host_id, parked) in [("a1b2", 0), ("c3d4", 1), ("a1b2", 7)] {
        let answer =
            scene.service.post(PATH, &heartbeat(&json!({"host_id": host_id, "parked": parked}))).await.ok();
        assert_eq!(answer["status"], "ok");
        let time = OffsetDateTime::parse(answer["server_time"].as_str().unwrap(), &Rfc3339).unwrap();
        assert!((time - before).whole_seconds().abs() < 60, "{time}");
    }
    let agents: Vec<(String, String, Vec<String>, Value)> =
        sqlx::query_as("SELECT host_id, host, roles, heartbeat FROM reflector.agent ORDER BY host_id")
            .fetch_all(&scene.db)
            .await
            .unwrap();
    assert_eq!(agents.len(), 2);
    let (host_id, host, roles, body) = &agents[0];
    assert_eq!(
        (host_id.as_str(), host.as_str(), roles.join(",").as_str()),
        ("a1b2", "jitsi-1", "prosody,jibri")
    );
    assert_eq!(*body, heartbeat(&json!({"parked": 7})), "with what this release does not know");
}

#[tokio::test]
async fn what_is_no_heartbeat_is_refused() {
    let scene = Scene::new().await;
    for changes in [
        json!({"host_id": ""}),
        json!({"host_id": "h".repeat(129)}),
        json!({"host": "a\0b"}),
        json!({"version": null}),
        json!({"sent_at": "now"}),
        json!({"backlog": {}}),
    ] {
        let answer = scene.service.post(PATH, &heartbeat(&changes)).await;
        assert_eq!(answer.refusal(), (422, "validation_failed"), "{changes}");
    }
    let count: i64 =
        sqlx::query_scalar("SELECT count(*) FROM reflector.agent").fetch_one(&scene.db).await.unwrap();
    assert_eq!(count, 0);
}

#[tokio::test]
async fn an_older_word_does_not_replace_a_newer_one_and_a_host_that_is_gone_is_forgotten() {
    let scene = Scene::new().await;
    let say = async |host_id: &str, sent_at: &str, parked: u64| {
        let body = heartbeat(&json!({"host_id": host_id, "sent_at": sent_at, "parked": parked}));
        scene.service.post(PATH, &body).await.ok();
    };
    let parked = async || {
        sqlx::query_as::<_, (String, i64)>(
            "SELECT host_id, (heartbeat->'parked')::bigint FROM reflector.agent ORDER BY host_id",
        )
        .fetch_all(&scene.db)
        .await
        .unwrap()
    };
    let pass = async |time: &str| {
        let passed = "UPDATE reflector.agent SET last_seen_at = last_seen_at - $1::text::interval";
        sqlx::query(passed).bind(time).execute(&scene.db).await.unwrap();
    };
    say("gone", "2026-01-31T10:30:00.000Z", 1).await;
    say("here", "2026-01-31T10:30:30.000Z", 2).await;
    say("here", "2026-01-31T10:30:00.000Z", 3).await;
    assert_eq!(parked().await, [("gone".to_owned(), 1), ("here".to_owned(), 2)]);
    pass("11 minutes").await;
    say("here", "2026-01-31T10:30:00.000Z", 4).await;
    assert_eq!(parked().await, [("gone".to_owned(), 1), ("here".to_owned(), 4)], "its clock was set back");
    pass("29 days").await;
    say("here", "2026-03-01T10:30:00.000Z", 5).await;
    assert_eq!(parked().await, [("here".to_owned(), 5)]);
}
