//! A webhook gets nobody to where only this host can get.

use crate::app::{App, PIPELINE_SECRET};
use crate::receiver::{Receiver, Reply};

#[tokio::test]
async fn no_webhook_is_sent_to_an_address_that_is_not_public_however_it_is_written() {
    let app = App::with(&[]).await;
    let port = app.receiver.address.port();
    let hosts = ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::1]", "[::ffff:127.0.0.1]"];
    for (number, host) in hosts.into_iter().enumerate() {
        let room = format!("room-{number}");
        app.room_at(&room, Some(&format!("http://{host}:{port}/inside"))).await;
        app.ended_meeting(&format!("m-{number}"), &room).await;
    }
    let sending = app.sending();
    app.settled("parked", i64::try_from(hosts.len()).unwrap()).await;
    sending.stop().await;
    assert!(app.receiver.calls("/inside").is_empty());
    let reasons: Vec<String> = sqlx::query_scalar("SELECT reason FROM reflector.webhook_delivery")
        .fetch_all(app.db())
        .await
        .unwrap();
    assert!(reasons.iter().all(|reason| reason.contains("not a public one")), "{reasons:?}");
}

#[tokio::test]
async fn a_redirect_leads_nowhere() {
    let app = App::start().await;
    let inside = Receiver::start().await;
    for (status, room) in [(301, "a"), (302, "b"), (307, "c"), (308, "d")] {
        app.room(room, &format!("/{room}")).await;
        app.receiver.reply(&format!("/{room}"), Reply::With(status, "location", inside.url("/inside")));
        app.ended_meeting(&format!("of-{room}"), room).await;
    }
    let sending = app.sending();
    app.settled("parked", 4).await;
    sending.stop().await;
    assert!(inside.calls("/inside").is_empty());
}

#[tokio::test]
async fn the_pipeline_is_the_operator_s_and_may_be_on_this_host() {
    let receiver = Receiver::start().await;
    let variables =
        [("PIPELINE_WEBHOOK_URL", &*receiver.url("/pipeline")), ("PIPELINE_WEBHOOK_SECRET", PIPELINE_SECRET)];
    let app = App::with(&variables).await;
    app.room("standup", "/room").await;
    app.ended_meeting("m-1", "standup").await;
    let sending = app.sending();
    app.settled("delivered", 1).await;
    app.settled("parked", 1).await;
    sending.stop().await;
    assert_eq!((receiver.calls("/pipeline").len(), app.receiver.calls("/room").len()), (1, 0));
}
