//! An API that is away for three days.
//!
//! The delivery loop waits by tokio's clock, which a test may turn: three days pass as fast as the work in them. What a million
//! waiting events cost in memory, and how fast they leave, is measured with the shipped program (`testbed bench --only outage`).

use std::time::Duration;

use agent::app;
use agent::clock::ApiClock;
use agent::delivery::{Delivery, Parts};
use agent::outbox::model::NewItem;
use agent::outbox::{DATABASE, Limits, Outbox, Reader};
use agent::secret::SharedSecret;
use rusqlite::Connection;
use rustix::time::{ClockId, clock_gettime};

use crate::support::{config, deliveries, item, progress};

const LIMITS: Limits = Limits { max_bytes: 1 << 30, keep_settled: Duration::from_hours(1) };

#[test]
fn three_days_without_the_api_cost_a_try_every_few_minutes_and_nothing_in_between() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(directory.path(), "[delivery]\nbatch-max-events = 20\n");
    let (writer, signals) = Outbox::open(directory.path(), LIMITS).unwrap();
    let items: Vec<NewItem> =
        (0..5_000).map(|n| item(&format!("evt_{n:06}"), &format!("room-{}", n % 50))).collect();
    writer.outbox().append(&items, &progress(1)).unwrap();
    let (client, routes) = app::deliveries(&config, app::http(&config)).unwrap();
    let parts = Parts {
        outbox: writer.outbox(),
        reader: Reader::open(directory.path()).unwrap(),
        signals,
        client,
        routes,
        secret: SharedSecret::new(config.secret.clone()),
        clock: ApiClock::default(),
    };
    let delivery = Delivery::new(&config.delivery, parts);

    let before = processor_time();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        delivery.run(tokio::time::sleep(Duration::from_hours(72))).await.unwrap();
    });
    let busy = processor_time().saturating_sub(before);
    writer.close();

    let database = Connection::open(directory.path().join(DATABASE)).unwrap();
    let tries: u32 = database.query_row("SELECT COUNT(*) FROM attempt", [], |row| row.get(0)).unwrap();
    // A wait is random below five minutes, so 150 s on average once the first few have passed.
    assert!((1_500..2_000).contains(&tries), "{tries} tries in 72 hours");
    assert!(busy < Duration::from_mins(1), "{busy:?} of processor time for {tries} tries");
    assert_eq!(deliveries(directory.path()).len(), items.len(), "everything is still there");
}

/// The processor time of this thread.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}
