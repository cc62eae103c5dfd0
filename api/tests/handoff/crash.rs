//! The real program is killed while a receiver has a webhook and has not answered.

use crate::app::App;
use crate::receiver::Reply;
use crate::support::program::Program;

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_between_a_webhook_and_the_note_of_it_repeats_it_under_the_same_id() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    app.receiver.reply("/room", Reply::Silence);
    let first = Program::start(&app.variables, &app.options);
    app.ended_meeting("m-1", "standup").await;
    app.receiver.receive("/room", 1).await;
    drop(first);
    let _second = Program::start(&app.variables, &app.options);
    // Its lease keeps others away for a minute.
    app.change("UPDATE reflector.webhook_target SET leased_until = now()").await;
    app.settled("delivered", 1).await;
    let calls = app.receiver.calls("/room");
    let ids: Vec<_> = calls.iter().map(|call| call.header("webhook-id")).collect();
    assert_eq!(ids, [ids[0]; 2]);
    let retries: Vec<_> = calls.iter().map(|call| call.header("x-webhook-retry")).collect();
    assert_eq!(retries, ["0", "1"]);
}
