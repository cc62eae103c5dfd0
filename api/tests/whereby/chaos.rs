//! Visitors of several replicas, some of whom go away, and a Whereby that fails at random: what is at Whereby in the end is what
//! meetings know.

use std::time::Duration;

use http::Method;
use serde_json::json;
use testbed::whereby::{Fault, Whereby};

use crate::app::{App, ROOM, Replica};

const ROUNDS: usize = 8;
const VISITORS: usize = 12;

fn fault() -> Option<Fault> {
    match fastrand::u8(0..6) {
        0 => Some(Fault::Status(500)),
        1 => Some(Fault::Reset),
        2 => Some(Fault::LostAnswer),
        3 => Some(Fault::Status(403)),
        4 => Some(Fault::Slow(Duration::from_millis(fastrand::u64(1..150)))),
        _ => None,
    }
}

/// One in four asks for a meeting of their own, and one in four goes away before the answer.
async fn visit(replica: Replica) {
    let path = format!("/v1/rooms/{ROOM}/meeting");
    let body = json!({"allow_duplicated": fastrand::u8(0..4) == 0});
    let answer = replica.ask(Method::POST, None, &path, Some(&body));
    if fastrand::u8(0..4) == 0 {
        let patience = Duration::from_millis(fastrand::u64(0..100));
        let _ = tokio::time::timeout(patience, answer).await;
        return;
    }
    let answer = answer.await;
    assert!([200, 503].contains(&answer.status), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_at_whereby_is_what_meetings_know() {
    let points = [("WHEREBY_POINTS_PER_MINUTE", "100000")];
    let app = App::with(Whereby::start_with(100_000).unwrap(), &points).await;
    let replicas = [app.replica.clone(), app.another(), app.another()];
    for _ in 0..ROUNDS {
        for fault in std::iter::repeat_with(fault).take(4).flatten() {
            app.whereby.fail("POST /v1/meetings", fault);
        }
        let visits: Vec<_> =
            (0..VISITORS).map(|n| tokio::spawn(visit(replicas[n % replicas.len()].clone()))).collect();
        for visit in visits {
            visit.await.unwrap();
        }
        // The next visitors begin another one.
        app.change("UPDATE reflector.meeting SET is_active = false").await;
    }
    app.whereby.recover();
    crate::support::wait::until("whatever is under way", async || {
        let open = "SELECT count(*) FROM reflector.whereby_intent WHERE abandoned_at IS NULL";
        (app.count(open).await == 0).then_some(())
    })
    .await;
    app.change("UPDATE reflector.whereby_intent SET abandoned_at = now() - interval '1 hour'").await;
    app.clean_up().await;
    let mut known: Vec<String> =
        sqlx::query_scalar("SELECT id FROM reflector.meeting").fetch_all(app.db()).await.unwrap();
    let mut rooms = app.rooms();
    known.sort();
    rooms.sort();
    assert_eq!(rooms, known);
    assert!(!rooms.is_empty());
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_intent").await, 0);
}
