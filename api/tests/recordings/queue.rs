//! What the bucket tells through the queue.

use std::process::Command;
use std::time::Duration;

use api::domain::recording_object::WherebyFile;
use serde_json::json;
use testbed::proxy::{Mode, Proxy};

use crate::scene::{ROOM, Scene, file, moto};
use crate::support::wait;

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_whereby_leaves_becomes_a_recording_of_its_meeting_and_one_that_goes_is_missing() {
    let scene = Scene::new().await;
    let consumer = scene.listen();
    let (first, second) = (file(ROOM, 2), format!("a+b/{}", file("unknown", 3)));
    scene.place.put(&first, b"twelve bytes").unwrap();
    scene.place.put(&second.replace('+', "%20"), b"x").unwrap();
    scene.place.put("jitsi/room/session/0123/room.mp4", b"an upload of this service").unwrap();
    let rows = scene.until_states(&["stored", "stored"]).await;
    let key = second.replace('+', " ");
    assert_eq!((rows[0].object_key.as_deref(), rows[0].meeting_id.as_deref()), (Some(key.as_str()), None));
    assert_eq!(
        (rows[1].object_key.as_deref(), rows[1].meeting_id.as_deref()),
        (Some(first.as_str()), Some("m"))
    );
    assert_eq!((rows[1].size_bytes, &rows[1].id), (Some(12), &WherebyFile::parse(&first).unwrap().id));
    scene.until_read().await;

    scene.place.remove(&first).unwrap();
    scene.until_states(&["stored", "missing"]).await;
    scene.place.put(&first, b"twelve bytes").unwrap();
    scene.until_states(&["stored", "stored"]).await;
    scene.until_read().await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_news_by_every_way_and_in_any_order_is_one_recording() {
    let scene = Scene::new().await;
    let key = file(ROOM, 2);
    let at = |second: u32, event: &str| {
        json!({"Records": [{
            "eventName": event, "eventTime": format!("2026-03-01T10:30:{second:02}.000Z"),
            "s3": {"bucket": {"name": scene.place.bucket()}, "object": {"key": key.replace(':', "%3A"), "size": 5}},
        }]})
    };
    let bridged = json!({
        "detail-type": "Object Created", "time": "2026-03-01T10:30:05Z",
        "detail": {"bucket": {"name": scene.place.bucket()}, "object": {"key": key, "size": 5}},
    });
    let removed = at(9, "ObjectRemoved:Delete");
    let wrapped = json!({"Type": "Notification", "Message": at(5, "ObjectCreated:Put").to_string()});
    let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
    let consumer = scene.listen();
    for body in [&at(5, "ObjectCreated:Put"), &test, &wrapped, &bridged] {
        scene.place.say(&body.to_string()).unwrap();
    }
    scene.until_states(&["stored"]).await;
    scene.until_read().await;
    // What is late says nothing new: the object was there before it went.
    for body in [&removed, &bridged, &wrapped] {
        scene.place.say(&body.to_string()).unwrap();
    }
    scene.until_read().await;
    assert_eq!(scene.until_states(&["missing"]).await[0].size_bytes, Some(5));
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_read_holds_nothing_up_and_is_put_aside_by_the_queue() {
    let scene = Scene::new().await;
    scene.place.say("nonsense").unwrap();
    scene.place.say(r#"{"Records":[{"eventName":"ObjectCreated:Put"}]}"#).unwrap();
    scene.place.put(&file(ROOM, 2), b"x").unwrap();
    let consumer = scene.listen();
    scene.until_states(&["stored"]).await;
    wait::until("the readable ones to be gone, and the others to be held", async || {
        let count = scene.place.count().unwrap();
        (count.visible == 0 && count.held == 2).then_some(())
    })
    .await;
    assert_eq!(scene.place.dead().unwrap(), 0, "the queue decides, after more than one delivery");
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_replicas_share_the_queue() {
    let scene = Scene::new().await;
    let minutes = 30;
    for minute in 0..minutes {
        scene.place.put(&file(ROOM, minute), b"x").unwrap();
    }
    let consumers = [scene.listen(), scene.listen(), scene.listen()];
    scene.until_states(&vec!["stored"; minutes as usize]).await;
    scene.until_read().await;
    for consumer in consumers {
        consumer.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_stays_until_the_database_has_it_and_is_given_back_at_the_end() {
    let scene = Scene::new().await;
    // As when the database goes away: an error of the class "insufficient resources".
    scene.execute("CREATE SEQUENCE reflector.tries").await;
    scene
        .execute(
            "CREATE FUNCTION reflector.away() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               PERFORM nextval('reflector.tries');
               RAISE 'away' USING ERRCODE = '53300';
             END $$",
        )
        .await;
    scene
        .execute("CREATE TRIGGER away BEFORE INSERT ON reflector.recording FOR EACH ROW EXECUTE FUNCTION reflector.away()")
        .await;
    scene.place.put(&file(ROOM, 2), b"x").unwrap();
    let consumer = scene.listen();
    wait::until("the database to be asked", async || {
        let tried: bool =
            sqlx::query_scalar("SELECT is_called FROM reflector.tries").fetch_one(&scene.db).await.unwrap();
        tried.then_some(())
    })
    .await;
    consumer.stop().await;
    assert!(scene.rows().await.is_empty());
    wait::until("the message to be given back", async || {
        let count = scene.place.count().unwrap();
        (count.held == 0 && count.visible >= 1).then_some(())
    })
    .await;

    scene.execute("DROP TRIGGER away ON reflector.recording").await;
    let consumer = scene.listen();
    scene.until_states(&["stored"]).await;
    scene.until_read().await;
    consumer.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_held_for_as_long_as_it_takes_and_can_be_given_back() {
    let scene = Scene::new().await;
    let queue = scene.queue(&scene.place.queue_url());
    let hold = Duration::from_secs(1);
    let received = wait::until("the bucket's test", async || queue.receive(hold).await.unwrap().pop()).await;
    assert_eq!(queue.hold(&[&received], Duration::from_mins(5)).await.unwrap(), 0);
    // Longer than the first time.
    assert_eq!(queue.receive(hold).await.unwrap(), []);
    assert_eq!(queue.receive(hold).await.unwrap(), []);
    assert_eq!(queue.hold(&[&received], Duration::ZERO).await.unwrap(), 0);
    let again = queue.receive(Duration::from_mins(5)).await.unwrap().pop().unwrap();
    assert_eq!((&again.id, &again.body, again.deliveries()), (&received.id, &received.body, 2));
    assert_eq!(queue.delete(&[&again]).await.unwrap(), 0);
    scene.until_read().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_is_away_is_tried_again() {
    let scene = Scene::new().await;
    let proxy = Proxy::start(moto().endpoint().rsplit(':').next().unwrap().parse().unwrap()).unwrap();
    proxy.set(Mode::Cut);
    let url = scene.place.queue_url().replace(&moto().endpoint(), &proxy.url());
    assert!(scene.queue(&url).attributes().await.unwrap_err().to_string().contains("does not answer"));
    scene.place.put(&file(ROOM, 2), b"x").unwrap();
    let consumer = scene.listen_to(&url);
    proxy.set(Mode::Pass);
    scene.until_states(&["stored"]).await;
    scene.until_read().await;
    consumer.stop().await;
}

/// Runs `reflector-api check`; its exit code, and what it says.
fn check(scene: &Scene, queue: &str) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_reflector-api"))
        .arg("check")
        .env_clear()
        .envs(&scene.variables)
        .env("JITSI_WEBHOOK_SECRET", "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
        .env("AWS_PROCESS_RECORDING_QUEUE_URL", queue)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_asks_the_queue_and_names_what_is_wrong_with_its_address() {
    let scene = Scene::new().await;
    let url = scene.place.queue_url();
    let (code, said) = check(&scene, &url);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("The queue answers") && !said.contains("redrive"), "{said}");
    let (code, said) = check(&scene, &format!("{url}-dead"));
    assert!(code == Some(0) && said.contains("no redrive policy"), "{said}");
    let (code, said) = check(&scene, &format!("{url}-other"));
    assert_eq!(code, Some(1));
    assert!(
        said.contains("error: AWS_PROCESS_RECORDING_QUEUE_URL") && said.contains("no such queue"),
        "{said}"
    );
    let (code, said) = check(&scene, "https://sqs.region.amazonaws.com/account/queue");
    assert!(code != Some(0) && said.contains("placeholder"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_of_a_bucket_that_keeps_what_is_removed() {
    let scene = Scene::new().await;
    let url = scene.place.queue_url();
    let (code, said) = check(&scene, &url);
    assert!(code == Some(0) && !said.contains("makes versions"), "{said}");
    scene.place.make_versions().unwrap();
    let (code, said) = check(&scene, &url);
    let warning = format!("warning: the bucket {} makes versions", scene.place.bucket());
    assert!(code == Some(0) && said.contains(&warning), "{said}");
}
