//! Periodic work runs once, however many replicas there are.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use api::jobs::runner::start;
use api::jobs::{Job, Summary};
use api::wakes::Wakes;
use time::OffsetDateTime;

use crate::app::App;
use crate::support::wait;

const OFTEN: Duration = Duration::from_millis(20);
const RARELY: Duration = Duration::from_hours(1);

async fn counted(what: &str, counter: &AtomicUsize, least: usize) {
    wait::until(what, async || (counter.load(SeqCst) >= least).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_never_run_a_job_at_the_same_time() {
    static AT_IT: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let job = Job::new("test.exclusive", OFTEN, |state| {
        Box::pin(async move {
            MOST.fetch_max(AT_IT.fetch_add(1, SeqCst) + 1, SeqCst);
            // Long enough for the other to begin meanwhile, if it could.
            sqlx::query("SELECT pg_sleep(0.05)").execute(&state.db).await?;
            AT_IT.fetch_sub(1, SeqCst);
            RUNS.fetch_add(1, SeqCst);
            Ok(Summary::nothing())
        })
    });
    let app = App::start().await;
    let (one, other) = (start(&app.state, vec![job]), start(&app.replica(), vec![job]));
    counted("runs", &RUNS, 10).await;
    assert_eq!(MOST.load(SeqCst), 1);
    tokio::join!(one.stop(), other.stop());
}

#[tokio::test]
async fn a_job_runs_once_in_its_period_for_all_replicas_together() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    static LOOKS: AtomicUsize = AtomicUsize::new(0);
    let rare = Job::new("test.rare", RARELY, |_| {
        Box::pin(async {
            RUNS.fetch_add(1, SeqCst);
            Ok(Summary::of("did it"))
        })
    });
    // Another job of the same runners, which shows that these have had their chance.
    let often = Job::new("test.often", OFTEN, |_| {
        Box::pin(async {
            LOOKS.fetch_add(1, SeqCst);
            Ok(Summary::nothing())
        })
    });
    let app = App::start().await;
    let runners = [app.replica(), app.replica(), app.replica()].map(|state| start(&state, vec![rare, often]));
    counted("looks", &LOOKS, 20).await;
    assert_eq!(RUNS.load(SeqCst), 1);
    let outcome = app.text("SELECT last_outcome FROM reflector.job WHERE name = 'test.rare'").await;
    assert_eq!(outcome.as_deref(), Some("did it"));
    for runner in runners {
        runner.stop().await;
    }
}

#[tokio::test]
async fn a_process_that_died_keeps_a_job_only_until_its_lease_is_over() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let job = Job::new("test.orphaned", OFTEN, |_| {
        Box::pin(async {
            RUNS.fetch_add(1, SeqCst);
            Ok(Summary::nothing())
        })
    });
    let app = App::start().await;
    let until: OffsetDateTime = sqlx::query_scalar(
        "INSERT INTO reflector.job (name, next_at, holder, leased_until)
         VALUES ('test.orphaned', now(), 'dead', now() + interval '2 s') RETURNING leased_until",
    )
    .fetch_one(app.db())
    .await
    .unwrap();
    let runner = start(&app.state, vec![job]);
    counted("a run", &RUNS, 1).await;
    let began: OffsetDateTime =
        sqlx::query_scalar("SELECT last_started_at FROM reflector.job WHERE name = 'test.orphaned'")
            .fetch_one(app.db())
            .await
            .unwrap();
    assert!(began >= until, "{began} {until}");
    runner.stop().await;
}

#[tokio::test]
async fn a_stop_cuts_a_run_short_and_gives_it_to_whoever_comes_next() {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    let job = Job::new("test.endless", RARELY, |_| {
        Box::pin(async {
            BEGUN.fetch_add(1, SeqCst);
            std::future::pending().await
        })
    });
    let app = App::start().await;
    let first = start(&app.state, vec![job]);
    counted("a run", &BEGUN, 1).await;
    first.stop().await;
    let second = start(&app.replica(), vec![job]);
    counted("another run", &BEGUN, 2).await;
    second.stop().await;
}

#[tokio::test]
async fn a_run_that_loses_its_lease_is_cut_short() {
    static AT_IT: AtomicUsize = AtomicUsize::new(0);
    struct Busy;
    impl Drop for Busy {
        fn drop(&mut self) {
            AT_IT.fetch_sub(1, SeqCst);
        }
    }
    let job = Job::new("test.robbed", RARELY, |_| {
        Box::pin(async {
            AT_IT.fetch_add(1, SeqCst);
            let _busy = Busy;
            std::future::pending().await
        })
    });
    let app = App::start().await;
    let runner = start(&app.state, vec![job]);
    counted("a run", &AT_IT, 1).await;
    app.change("UPDATE reflector.job SET holder = 'other' WHERE name = 'test.robbed'").await;
    wait::until("the end of the run", async || (AT_IT.load(SeqCst) == 0).then_some(())).await;
    runner.stop().await;
}

#[tokio::test]
async fn what_fails_or_panics_is_noted_and_tried_again() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let job = Job::new("test.failing", OFTEN, |state| {
        Box::pin(async move {
            let said = sqlx::query_scalar::<_, Option<String>>(
                "SELECT last_outcome FROM reflector.job WHERE name = 'test.failing'",
            )
            .fetch_one(&state.db)
            .await?;
            match RUNS.fetch_add(1, SeqCst) {
                0 => Err(anyhow::anyhow!("the storage is away")),
                1 => {
                    assert_eq!(said.as_deref(), Some("nothing of the kind"), "on purpose: {said:?}");
                    Ok(Summary::nothing())
                }
                _ => Ok(Summary::of(said.unwrap_or_default())),
            }
        })
    });
    let app = App::start().await;
    let runner = start(&app.state, vec![job]);
    wait::until("a success", async || {
        let row: (Option<bool>, Option<String>) = sqlx::query_as(
            "SELECT last_succeeded, last_outcome FROM reflector.job WHERE name = 'test.failing'",
        )
        .fetch_optional(app.db())
        .await
        .unwrap()
        .unwrap_or_default();
        (row == (Some(true), Some("panicked".to_owned()))).then_some(())
    })
    .await;
    runner.stop().await;
}

#[tokio::test]
async fn a_job_can_be_woken_before_it_is_due_also_while_it_runs() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let job = Job::new("test.woken", RARELY, |state| {
        Box::pin(async move {
            if RUNS.fetch_add(1, SeqCst) == 1 {
                state.wakes.wake("test.woken");
            }
            Ok(Summary::nothing())
        })
    });
    let mut app = App::start().await;
    app.state.wakes = Wakes::new(["test.woken"]);
    let runner = start(&app.state, vec![job]);
    counted("a run", &RUNS, 1).await;
    app.state.wakes.wake("test.woken");
    counted("two more runs", &RUNS, 3).await;
    runner.stop().await;
}
