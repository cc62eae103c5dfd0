//! A process that dies between the commit of what a message says and the message's removal.

use std::path::Path;

use sqlx::{ConnectOptions as _, Row as _};
use testbed::proxy::{Mode, Proxy};

use crate::scene::{ROOM, Scene, file, moto};
use crate::support::program::Program;
use crate::support::wait;

/// Starts the program, which listens to `queue`.
fn start(scene: &Scene, queue: &str, state: &Path) -> Program {
    let more = [
        ("JITSI_WEBHOOK_SECRET", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"),
        ("REFLECTOR_API_STATE_DIR", state.to_str().unwrap()),
        ("AWS_PROCESS_RECORDING_QUEUE_URL", queue),
    ];
    let mut variables = scene.variables.clone();
    variables.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
    Program::start(&variables, &scene.db.connect_options())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_before_it_deletes_a_message_costs_a_repetition_and_nothing_else() {
    let scene = Scene::new().await;
    let port = moto().endpoint().rsplit(':').next().unwrap().parse().unwrap();
    let proxy = Proxy::start(port).unwrap();
    let queue = scene.place.queue_url().replace(&moto().endpoint(), &proxy.url());
    scene
        .execute(
            "CREATE FUNCTION reflector.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               PERFORM pg_advisory_xact_lock(42);
               RETURN NEW;
             END $$",
        )
        .await;
    scene
        .execute(
            "CREATE TRIGGER wait BEFORE INSERT ON reflector.recording FOR EACH ROW EXECUTE FUNCTION reflector.wait()",
        )
        .await;
    let mut gate = scene.db.connect_options().connect().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(42)").execute(&mut gate).await.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let program = start(&scene, &queue, directory.path());
    // The bucket's test comes first.
    scene.until_read().await;
    scene.place.put(&file(ROOM, 2), b"x").unwrap();
    wait::until("the program to store what it was told", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '-- recordings.found%'";
        let row = sqlx::query(waiting).fetch_one(&scene.db).await.unwrap();
        (row.get::<i64, _>(0) == 1).then_some(())
    })
    .await;
    proxy.set(Mode::Cut);
    sqlx::query("SELECT pg_advisory_unlock(42)").execute(&mut gate).await.unwrap();
    scene.until_states(&["stored"]).await;
    drop(program);

    let count = scene.place.count().unwrap();
    assert_eq!(count.visible + count.held, 1, "the message is not lost");
    // It comes back when its time is over; a copy of it says the same at once.
    scene.place.remove(&file(ROOM, 2)).unwrap();
    scene.place.put(&file(ROOM, 2), b"x").unwrap();
    let consumer = scene.listen();
    wait::until("the copies to be read", async || {
        let count = scene.place.count().unwrap();
        (count.visible == 0 && count.held <= 1).then_some(())
    })
    .await;
    scene.until_states(&["stored"]).await;
    consumer.stop().await;
}
