//! The real program is killed between Whereby's answer and its own commit.

use std::time::Duration;

use testbed::whereby::Fault;

use crate::app::{App, ROOM};
use crate::support::program::Program;
use crate::support::wait;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_whereby_s_room_and_the_commit_leaves_no_room_behind() {
    let app = App::start().await;
    let program = Program::start(&app.variables, &app.options);
    app.whereby.fail("POST /v1/meetings", Fault::Slow(Duration::from_secs(8)));
    let request = reqwest::Client::new().post(format!("{}/v1/rooms/{ROOM}/meeting", program.url())).send();
    let visit = tokio::spawn(request);
    wait::until("the room", async || (app.rooms().len() == 1).then_some(())).await;
    drop(program);
    assert!(visit.await.unwrap().is_err(), "nobody is there to answer");
    let lost = app.rooms();

    assert_eq!(app.visit().await.refusal(), (503, "unavailable"), "it may still be somebody's");
    assert_eq!((app.clean_up().await, app.rooms()), (0, lost), "it may still be somebody's");
    // Half a minute later.
    app.change("UPDATE reflector.whereby_intent SET leased_until = now() - interval '1 s'").await;
    let meeting = app.visit().await.ok();
    assert_eq!((app.clean_up().await, app.rooms()), (1, vec![meeting["id"].as_str().unwrap().to_owned()]));
    assert_eq!(app.count("SELECT count(*) FROM reflector.whereby_intent").await, 0);
}
