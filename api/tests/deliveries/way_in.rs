//! What becomes of events when several services, a standstill or a stumble are in their way.

use api::ingest::{Ingest, MAX_WAITING_BYTES, Outcome, StoreError};
use contract::event::Event;
use host::pulse::Pulses;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::task::JoinSet;

use crate::app::{event, meeting};
use crate::support::{postgres, wait};

fn parsed(event: &Value) -> Event {
    Event::parse(event.to_string().as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_batch_in_different_orders_at_the_same_time_is_stored_once() {
    let (db, options) = postgres::database().await;
    meeting(&db, "m", "r").await;
    let ways: Vec<_> = (0..4).map(|_| Ingest::start(&options, &Pulses::default())).collect();
    for round in 0..10 {
        let mut events: Vec<_> = (0..200)
            .map(|i| {
                event(
                    &format!("e{round}-{i}"),
                    "muc-occupant-joined",
                    "r",
                    i,
                    &json!({"nick": (i % 7).to_string()}),
                )
            })
            .map(|event| parsed(&event))
            .collect();
        let mut deliveries = JoinSet::new();
        for way in &ways {
            events.reverse();
            let (way, events) = (way.clone(), events.clone());
            deliveries.spawn(async move { way.store(events, 1).await.unwrap() });
        }
        let outcomes = deliveries.join_all().await.concat();
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Stored).count(), 200);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::Duplicate).count(), 600);
    }
    let stored: i64 =
        sqlx::query_scalar("SELECT count(*) FROM reflector.meeting_event").fetch_one(&db).await.unwrap();
    assert_eq!(stored, 2000);
}

#[tokio::test]
async fn an_event_over_which_the_service_stumbles_is_refused_alone() {
    let (db, options) = postgres::database().await;
    meeting(&db, "m", "r").await;
    let mut events: Vec<_> = (0..5)
        .map(|i| parsed(&event(&format!("e{i}"), "muc-occupant-joined", "r", 1, &json!({"nick": "n"}))))
        .collect();
    // In UTC that is a year that no clock of ours can say.
    events[3].timestamp = datetime!(9999-12-31 23:59:59 -12:00);
    let outcomes = Ingest::start(&options, &Pulses::default()).store(events, 1).await.unwrap();
    for (place, outcome) in outcomes.iter().enumerate() {
        assert_eq!(matches!(outcome, Outcome::Refused(_)), place == 3, "{outcome:?}");
    }
}

#[tokio::test]
async fn callers_that_give_up_make_no_room_for_others() {
    let (db, options) = postgres::database().await;
    meeting(&db, "m", "r").await;
    let ingest = Ingest::start(&options, &Pulses::default());
    let one = |id: &str| vec![parsed(&event(id, "e", "r", 1, &json!({})))];
    let mut standstill = db.begin().await.unwrap();
    sqlx::query("LOCK TABLE reflector.meeting_event").execute(&mut *standstill).await.unwrap();
    for id in ["a", "b"] {
        // Polled once: it waits for its commit, and is dropped.
        let waits = tokio::select! {
            biased;
            _ = ingest.store(one(id), MAX_WAITING_BYTES / 2) => false,
            () = std::future::ready(()) => true,
        };
        assert!(waits);
    }
    assert!(matches!(ingest.store(one("c"), 1).await, Err(StoreError::Busy)));
    standstill.rollback().await.unwrap();
    wait::until("room for another", async || ingest.store(one("d"), 1).await.ok()).await;
}
