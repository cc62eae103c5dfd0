//! What nobody has told of is looked for in the bucket.

use std::collections::BTreeSet;
use std::time::Duration;

use api::recordings::scan::{Buckets, ScanError, Scanned, scan};
use tokio::time::Instant;

use crate::scene::{ROOM, Scene, file};

async fn run(scene: &Scene, budget: Duration) -> Scanned {
    through(scene, &[scene.place.bucket()], None, budget).await.unwrap()
}

/// The same through these buckets, of which Whereby records into `of_whereby`.
async fn through(
    scene: &Scene,
    buckets: &[&str],
    of_whereby: Option<&str>,
    budget: Duration,
) -> Result<Scanned, ScanError> {
    let storage = scene.state.uploads.as_ref().unwrap().storage();
    let all: BTreeSet<_> = buckets.iter().map(|bucket| (*bucket).to_owned()).collect();
    let buckets = Buckets { all, of_whereby: of_whereby.map(ToOwned::to_owned) };
    scan(&scene.db, storage, &buckets, Instant::now() + budget).await
}

/// Everything that is known was learned two hours ago.
async fn pass_two_hours(scene: &Scene) {
    scene
        .execute(
            "UPDATE reflector.recording SET announced_at = announced_at - interval '2 h', found_at = found_at - interval '2 h',
               missed_at = missed_at - interval '2 h'",
        )
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_queue_did_not_tell_is_found_in_the_bucket_and_what_is_gone_is_missed() {
    let scene = Scene::new().await;
    let (first, second, folder) = (file(ROOM, 2), file(ROOM, 3), format!("a b/ü/{}", file(ROOM, 4)));
    let escaped = format!("a%20b/%C3%BC/{}", file(ROOM, 4));
    for key in [&first, &second, &escaped, &file("unknown", 5)] {
        scene.place.put(key, b"xyz").unwrap();
    }
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned { new: 3, ..Scanned::default() });
    let rows = scene.rows().await;
    let keys: Vec<_> = rows.iter().map(|row| row.object_key.as_deref().unwrap()).collect();
    assert_eq!(keys, [&*folder, &*first, &*second], "what belongs to no meeting is somebody else's");
    assert!(rows.iter().all(|row| row.meeting_id.as_deref() == Some("m") && row.size_bytes == Some(3)));
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned::default(), "nothing is new");

    scene.place.remove(&first).unwrap();
    scene.place.remove(&second).unwrap();
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned::default(), "they were there a moment ago");
    pass_two_hours(&scene).await;
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned { missing: 2, ..Scanned::default() });
    scene.until_states(&["stored", "missing", "missing"]).await;

    scene.place.put(&second, b"xyz").unwrap();
    run(&scene, Duration::from_mins(1)).await;
    scene.until_states(&["stored", "missing", "stored"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_announced_and_is_nowhere_is_missing_after_an_hour() {
    let scene = Scene::new().await;
    scene
        .execute(
            "INSERT INTO reflector.recording (id, meeting_id, room_name, file, status, completed_at, object_key, announced_at)
             VALUES ('rec_whereby_1', 'm', 'r', 'f.mp4', 'completed', now(), 'f.mp4', now())",
        )
        .await;
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned::default());
    scene.until_states(&["announced"]).await;
    pass_two_hours(&scene).await;
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned { missing: 1, ..Scanned::default() });
    scene.until_states(&["missing"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_cut_short_goes_on_where_it_was() {
    let scene = Scene::new().await;
    // Two pages, of which the first has no recording.
    for number in 0..1000 {
        scene.place.put(&format!("a/{number:04}"), b"").unwrap();
    }
    scene.place.put(&file(ROOM, 2), b"x").unwrap();
    assert_eq!(run(&scene, Duration::ZERO).await, Scanned::default());
    assert_eq!(run(&scene, Duration::ZERO).await, Scanned { new: 1, ..Scanned::default() });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_went_and_came_back_is_noticed_as_well_and_a_mere_claim_is_not_believed() {
    let scene = Scene::new().await;
    let bucket = scene.place.bucket().to_owned();
    for (id, found) in [("rec_1", true), ("rec_2", false)] {
        sqlx::query(
            "INSERT INTO reflector.recording (id, meeting_id, file, status, completed_at, bucket, object_key, announced_at, found_at,
               stored_at)
             VALUES ($1, 'm', 'f.mp4', 'completed', now(), $2, 'jitsi/f.mp4', now() - interval '2 h',
               CASE WHEN $3 THEN now() - interval '2 h' END, CASE WHEN $3 THEN now() END)",
        )
        .bind(id)
        .bind(&bucket)
        .bind(found)
        .execute(&scene.db)
        .await
        .unwrap();
    }
    let states = async || {
        let rows = sqlx::query_scalar::<_, String>("SELECT state FROM reflector.recording ORDER BY id");
        rows.fetch_all(&scene.db).await.unwrap()
    };
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned { missing: 1, ..Scanned::default() });
    assert_eq!(states().await, ["missing", "announced"]);
    scene.place.put("jitsi/f.mp4", b"x").unwrap();
    assert_eq!(run(&scene, Duration::from_mins(1)).await, Scanned { found_again: 1, ..Scanned::default() });
    assert_eq!(states().await, ["stored", "announced"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_says_no_keeps_no_other_from_being_looked_through() {
    let scene = Scene::new().await;
    let (own, refused) = (scene.place.bucket(), "a-bucket-that-is-gone");
    scene.place.put(&file(ROOM, 2), b"x").unwrap();
    let announced = file(ROOM, 3);
    sqlx::query(
        "INSERT INTO reflector.recording (id, meeting_id, room_name, file, status, completed_at, object_key, announced_at)
         VALUES ('rec_whereby_1', 'm', 'r', $1, 'completed', now(), $1, now() - interval '2 h')",
    )
    .bind(&announced)
    .execute(&scene.db)
    .await
    .unwrap();
    for (of_whereby, states) in [
        (None, ["stored", "announced"]),
        (Some(refused), ["stored", "announced"]),
        (Some(own), ["stored", "missing"]),
    ] {
        let error = through(&scene, &[refused, own], of_whereby, Duration::from_mins(1)).await.unwrap_err();
        assert!(error.to_string().contains("NoSuchBucket"), "{error}");
        let found: Vec<_> = scene.rows().await.into_iter().map(|row| row.state).collect();
        assert_eq!(found, states, "Whereby records into {of_whereby:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missed_is_written_down_as_it_goes_and_the_deadline_holds_there_too() {
    let scene = Scene::new().await;
    sqlx::query(
        "INSERT INTO reflector.recording (id, meeting_id, file, status, completed_at, bucket, object_key, announced_at, found_at,
           stored_at)
         SELECT 'rec_' || n, 'm', 'f.mp4', 'completed', now(), $1, 'jitsi/' || lpad(n::text, 4, '0'), now() - interval '2 h',
           now() - interval '2 h', now()
         FROM generate_series(1, 1050) n",
    )
    .bind(scene.place.bucket())
    .execute(&scene.db)
    .await
    .unwrap();
    scene.place.put("jitsi/0030", b"x").unwrap();
    assert_eq!(run(&scene, Duration::ZERO).await, Scanned { missing: 20, ..Scanned::default() });
    assert_eq!(run(&scene, Duration::ZERO).await, Scanned { missing: 20, ..Scanned::default() });
    let lost = "SELECT max(object_key) FROM reflector.recording WHERE state = 'missing'";
    let lost = sqlx::query_scalar::<_, String>(lost).fetch_one(&scene.db).await.unwrap();
    assert_eq!(lost, "jitsi/0041", "it goes on where it was");
    assert_eq!(run(&scene, Duration::from_mins(2)).await, Scanned { missing: 1009, ..Scanned::default() });
}
