//! Whatever Whereby does, a visitor gets a defined answer, and no room is left that no meeting knows.

use std::time::Duration;

use api::jobs;
use http::Method;
use testbed::whereby::{Fault, Whereby};

use crate::app::{App, OWNER};
use crate::support::wait;

const CREATE: &str = "POST /v1/meetings";

const OPEN: &str = "SELECT count(*) FROM reflector.whereby_intent WHERE abandoned_at IS NULL";
const ABANDONED: &str = "SELECT count(*) FROM reflector.whereby_intent WHERE abandoned_at IS NOT NULL";

#[tokio::test]
async fn every_failure_is_a_503_that_says_when_to_come_again() {
    let app = App::start().await;
    for (fault, retry_after, may_have_made_one) in [
        (Fault::Status(400), 60, 0),
        (Fault::Status(401), 60, 0),
        (Fault::Status(403), 60, 0),
        (Fault::Status(500), 1, 1),
        (Fault::Status(503), 1, 1),
        (Fault::Reset, 1, 1),
        (Fault::LostAnswer, 1, 1),
        (Fault::Slow(Duration::from_secs(11)), 1, 1),
        (Fault::TooMany(40), 40, 0),
    ] {
        app.whereby.fail(CREATE, fault);
        let answer = app.visit().await;
        assert_eq!(answer.refusal(), (503, "platform_unavailable"), "{fault:?}");
        assert_eq!(answer.retry_after(), Some(retry_after), "{fault:?}");
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.contains("Whereby") && !detail.contains(app.whereby.api_key()), "{fault:?}: {detail}");
        assert_eq!(app.count(OPEN).await, 0, "{fault:?}");
        assert_eq!(app.count(ABANDONED).await, may_have_made_one, "{fault:?}");
        app.change("DELETE FROM reflector.whereby_intent").await;
    }
}

#[tokio::test]
async fn a_room_whose_answer_was_lost_is_found_and_removed_and_no_other() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::LostAnswer);
    assert_eq!(app.visit().await.status, 503);
    let live = app.visit().await.ok();
    let lost = app.rooms()[0].clone();
    assert_eq!((app.rooms().len(), live["id"] == lost.as_str()), (2, false));
    assert_eq!(app.clean_up().await, 1);
    assert_eq!(app.rooms(), [live["id"].as_str().unwrap()]);
    assert_eq!((app.clean_up().await, app.count(ABANDONED).await), (0, 0));
}

#[tokio::test]
async fn a_room_that_somebody_may_be_about_to_use_is_left_alone() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::LostAnswer);
    assert_eq!(app.visit().await.status, 503);
    // Another of the same name began in the same millisecond, and its room could be this one.
    app.change(
        "INSERT INTO reflector.whereby_intent (id, room_id, is_exclusive, prefix, end_date, leased_until)
         SELECT 'other', room_id, false, prefix, end_date, now() + interval '1 minute' FROM reflector.whereby_intent",
    )
    .await;
    assert_eq!((app.clean_up().await, app.rooms().len()), (0, 1));
    app.change("UPDATE reflector.whereby_intent SET leased_until = now() - interval '1 s'").await;
    assert_eq!((app.clean_up().await, app.rooms().len()), (1, 0));
}

#[tokio::test]
async fn what_was_never_made_is_looked_for_until_it_cannot_appear_any_more() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::Status(500));
    assert_eq!(app.visit().await.status, 503);
    assert_eq!((app.clean_up().await, app.count(ABANDONED).await), (0, 1));
    app.change("UPDATE reflector.whereby_intent SET abandoned_at = now() - interval '6 minutes'").await;
    assert_eq!((app.clean_up().await, app.count(ABANDONED).await), (0, 0));
    let asked = app.calls("GET /v1/meetings");
    assert_eq!(
        (app.clean_up().await, app.calls("GET /v1/meetings")),
        (0, asked),
        "nothing is left to look for"
    );
}

#[tokio::test]
async fn cleaning_up_and_bringing_strays_home_run_by_themselves() {
    let app = App::start().await;
    let names: Vec<_> = jobs::list(&app.replica.state).iter().map(|job| job.name).collect();
    for name in [jobs::CLEAN_WHEREBY, jobs::STRAYS] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[tokio::test]
async fn a_clean_up_that_fails_is_begun_again() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::LostAnswer);
    assert_eq!(app.visit().await.status, 503);
    let whereby = app.replica.state.whereby.clone().unwrap();
    for what in ["GET /v1/meetings", "DELETE /v1/meetings"] {
        app.whereby.fail(what, Fault::Status(500));
        assert!(whereby.clean_up().await.is_err(), "{what}");
        assert_eq!((app.rooms().len(), app.count(ABANDONED).await), (1, 1), "{what}");
    }
    assert_eq!((app.clean_up().await, app.rooms().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_meeting_that_others_gave_up_waiting_for_is_not_begun_twice() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::Slow(Duration::from_millis(500)));
    let replica = app.replica.clone();
    let slow = tokio::spawn(async move { replica.visit().await });
    wait::until("the room", async || (app.rooms().len() == 1).then_some(())).await;
    app.change("UPDATE reflector.whereby_intent SET leased_until = now() - interval '1 s'").await;
    let taken_over = app.another().visit().await.ok();
    assert_eq!(slow.await.unwrap().refusal(), (503, "unavailable"));
    assert_eq!(app.visit().await.ok()["id"], taken_over["id"]);
    assert_eq!((app.clean_up().await, app.rooms()), (1, vec![taken_over["id"].as_str().unwrap().to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_deleted_while_its_meeting_is_made_leaves_nothing_at_whereby() {
    let app = App::start().await;
    app.whereby.fail(CREATE, Fault::Slow(Duration::from_millis(500)));
    let replica = app.replica.clone();
    let visit = tokio::spawn(async move { replica.visit().await });
    wait::until("the room", async || (app.rooms().len() == 1).then_some(())).await;
    let id: String = sqlx::query_scalar("SELECT id FROM reflector.room").fetch_one(app.db()).await.unwrap();
    app.replica.ask(Method::DELETE, Some(OWNER), &format!("/v1/rooms/{id}"), None).await.ok();
    assert_eq!(visit.await.unwrap().refusal(), (404, "room_not_found"));
    assert_eq!((app.clean_up().await, app.rooms().len()), (1, 0));
}

#[tokio::test]
async fn a_clean_up_waits_for_points_and_does_not_begin_anew() {
    let app = App::with(Whereby::start_with(600).unwrap(), &[("WHEREBY_POINTS_PER_MINUTE", "600")]).await;
    app.whereby.fail(CREATE, Fault::LostAnswer);
    assert_eq!(app.visit().await.status, 503);
    // What is left is the visitors'; ten points come back in a second.
    app.change("UPDATE reflector.whereby_budget SET points = 200, counted_at = clock_timestamp()").await;
    assert_eq!((app.clean_up().await, app.rooms().len()), (1, 0));
    assert_eq!(app.calls("GET /v1/meetings"), 1);
}
