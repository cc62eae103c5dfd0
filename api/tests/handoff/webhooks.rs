//! Webhooks reach their receivers, whatever these do.

use crate::app::{App, PIPELINE_SECRET, ROOM_SECRET};
use crate::receiver::Reply;
use crate::support::wait;

#[tokio::test]
async fn the_end_of_a_meeting_is_told_to_its_room_and_to_the_pipeline_under_both_signatures() {
    let app = App::with_pipeline().await;
    app.room("standup", "/room").await;
    app.meeting("m-1", "standup", 8).await;
    app.event("muc-occupant-joined", "m-1", 1, &serde_json::json!({"occupant_id": "a", "nick": "Ann"})).await;
    app.sweep().await;
    app.end("m-1").await;
    let sending = app.sending();
    for (path, secret) in [("/room", ROOM_SECRET), ("/pipeline", PIPELINE_SECRET)] {
        let calls = app.receiver.receive(path, 2).await;
        let events: Vec<_> = calls.iter().map(|call| call.header("x-webhook-event")).collect();
        assert_eq!(events, ["meeting.started", "meeting.ended"]);
        for call in &calls {
            call.verify(secret);
            assert_eq!(call.header("content-type"), "application/json");
            assert_eq!(call.header("user-agent"), "Reflector-Webhook/1.0");
            assert_eq!(call.header("x-webhook-retry"), "0");
            assert_eq!(call.body["event"], call.header("x-webhook-event"));
            assert_eq!(call.body["event_id"], call.header("webhook-id"));
            assert_eq!(call.body["room"], serde_json::json!({"id": "standup", "name": "standup"}));
            assert_eq!(call.body["meeting"]["id"], "m-1");
            assert_eq!(call.body["meeting"]["platform"], "jitsi");
            assert!(call.body["meeting"]["started_at"].is_string());
            assert_eq!(call.body["participants"][0]["name"], "Ann");
        }
        assert_eq!(calls[1].body["meeting"]["ended_reason"], "owner");
    }
    app.settled("delivered", 4).await;
    sending.stop().await;
}

#[tokio::test]
async fn a_webhook_that_failed_comes_again_under_the_same_id() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    for reply in [Reply::Status(500), Reply::Status(429), Reply::Status(408)] {
        app.receiver.reply("/room", reply);
    }
    app.ended_meeting("m-1", "standup").await;
    let sending = app.sending();
    for attempt in 1..=3 {
        app.receiver.receive("/room", attempt).await;
        wait::until("the attempt's end", async || {
            let noted = app.count("SELECT count(*) FROM reflector.webhook_attempt").await;
            (usize::try_from(noted) == Ok(attempt)).then_some(())
        })
        .await;
        let pause = app
            .count("SELECT extract(epoch FROM next_at - now())::int8 FROM reflector.webhook_delivery")
            .await;
        let least = 60 << (attempt - 1);
        assert!((least - 10..=least * 11 / 10).contains(&pause), "{attempt}: {pause}");
        app.change("UPDATE reflector.webhook_delivery SET next_at = now()").await;
        app.change("UPDATE reflector.webhook_target SET next_at = now()").await;
    }
    let calls = app.receiver.receive("/room", 4).await;
    app.settled("delivered", 1).await;
    let ids: std::collections::BTreeSet<_> = calls.iter().map(|call| call.header("webhook-id")).collect();
    assert_eq!(ids.len(), 1);
    let retries: Vec<_> = calls.iter().map(|call| call.header("x-webhook-retry")).collect();
    assert_eq!(retries, ["0", "1", "2", "3"]);
    let statuses: Vec<Option<i32>> =
        sqlx::query_scalar("SELECT status FROM reflector.webhook_attempt ORDER BY number")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(statuses, [500, 429, 408, 200].map(Some));
    sending.stop().await;
}

#[tokio::test]
async fn a_refused_webhook_is_parked_until_somebody_has_it_sent_again() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    app.receiver.reply("/room", Reply::Status(404));
    app.ended_meeting("m-1", "standup").await;
    let sending = app.sending();
    app.settled("parked", 1).await;
    let reason = app.text("SELECT reason FROM reflector.webhook_delivery").await;
    assert_eq!(reason.as_deref(), Some("the receiver refused it with 404"));
    assert_eq!(
        app.text("SELECT preview FROM reflector.webhook_attempt").await.as_deref(),
        Some("answered 404")
    );
    let id = app.text("SELECT id FROM reflector.webhook_delivery").await.unwrap();
    assert!(api::db::webhook_deliveries::retry(app.db(), &id).await.unwrap());
    app.state.webhooks.wake();
    app.settled("delivered", 1).await;
    assert_eq!(app.receiver.calls("/room").len(), 2);
    for id in [id.as_str(), "unknown"] {
        assert!(!api::db::webhook_deliveries::retry(app.db(), id).await.unwrap(), "nothing is parked");
    }
    sending.stop().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other_and_is_asked_for_one_thing_at_a_time() {
    let app = App::start().await;
    app.room("hanging", "/hanging").await;
    app.room("lively", "/lively").await;
    for meeting in ["h-1", "h-2", "h-3"] {
        app.receiver.reply("/hanging", Reply::Silence);
        app.ended_meeting(meeting, "hanging").await;
    }
    let sending = app.sending();
    app.receiver.receive("/hanging", 1).await;
    for (count, meeting) in ["l-1", "l-2", "l-3"].into_iter().enumerate() {
        app.ended_meeting(meeting, "lively").await;
        app.state.webhooks.wake();
        app.receiver.receive("/lively", count + 1).await;
    }
    app.settled("delivered", 3).await;
    assert_eq!(app.receiver.calls("/hanging").len(), 1);
    sending.stop().await;
    let held = app.count("SELECT count(*) FROM reflector.webhook_target WHERE lease IS NOT NULL").await;
    assert_eq!(held, 0, "a stop gives receivers back, also those that hang");
}

#[tokio::test]
async fn a_receiver_that_is_away_is_left_alone_for_a_while_with_all_that_waits_for_it() {
    let app = App::start().await;
    app.room_at("away", Some("http://127.0.0.1:9/")).await;
    for meeting in ["m-1", "m-2", "m-3"] {
        app.ended_meeting(meeting, "away").await;
    }
    let sending = app.sending();
    wait::until("an attempt", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_attempt").await > 0).then_some(())
    })
    .await;
    app.room("lively", "/lively").await;
    app.ended_meeting("l-1", "lively").await;
    app.settled("delivered", 1).await;
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_attempt WHERE status IS NULL").await, 1);
    let rest = app
        .count("SELECT extract(epoch FROM rest_until - now())::int8 FROM reflector.webhook_target WHERE failures = 1")
        .await;
    assert!((30..=60).contains(&rest), "{rest}");
    sending.stop().await;
}

#[tokio::test]
async fn replicas_share_the_work_and_send_nothing_twice_and_nothing_before_what_came_before() {
    let app = App::start().await;
    for room in ["a", "b", "c", "d"] {
        app.room(room, &format!("/{room}")).await;
        for number in 0..10 {
            app.meeting(&format!("{room}-{number}"), room, 8).await;
        }
    }
    app.change("UPDATE reflector.meeting SET started_at = now()").await;
    app.change("UPDATE reflector.meeting SET is_active = false, ended_at = now(), ended_reason = 'owner'")
        .await;
    let replicas = [app.replica(), app.replica(), app.replica()];
    let sending: Vec<_> = replicas.iter().map(|state| state.webhooks.start()).collect();
    app.settled("delivered", 80).await;
    for sending in sending {
        sending.stop().await;
    }
    for room in ["a", "b", "c", "d"] {
        let calls = app.receiver.calls(&format!("/{room}"));
        assert_eq!(calls.len(), 20, "each once");
        for number in 0..10 {
            let meeting = format!("{room}-{number}");
            let told = calls.iter().filter(|call| call.body["meeting"]["id"] == *meeting);
            let told: Vec<_> = told.map(|call| call.header("x-webhook-event")).collect();
            assert_eq!(told, ["meeting.started", "meeting.ended"], "{meeting}");
        }
    }
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_fact").await, 0);
}

#[tokio::test]
async fn a_room_without_a_secret_is_told_without_a_signature() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    app.change("UPDATE reflector.room SET webhook_secret = NULL").await;
    app.ended_meeting("m-1", "standup").await;
    let sending = app.sending();
    let call = app.receiver.receive("/room", 1).await.remove(0);
    for header in ["x-webhook-signature", "webhook-signature"] {
        assert_eq!(call.header(header), "", "{header}");
    }
    assert!(call.header("webhook-id").starts_with("msg_"));
    sending.stop().await;
}

#[tokio::test]
async fn what_nobody_wants_to_hear_is_told_to_nobody() {
    let app = App::start().await;
    app.room("silent", "").await;
    app.ended_meeting("m-1", "silent").await;
    let sending = app.sending();
    wait::until("the fact's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_fact").await == 0).then_some(())
    })
    .await;
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_delivery").await, 0);
    sending.stop().await;
}

#[tokio::test]
async fn a_webhook_goes_where_the_room_is_told_now_and_nowhere_when_that_was_taken_away() {
    let app = App::start().await;
    for room in ["moved", "quit", "gone"] {
        app.room(room, "/old").await;
        app.receiver.reply("/old", Reply::Status(500));
        app.ended_meeting(&format!("of-{room}"), room).await;
    }
    let sending = app.sending();
    app.receiver.receive("/old", 3).await;
    wait::until("the attempts' end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_attempt").await == 3).then_some(())
    })
    .await;
    app.change(
        "UPDATE reflector.room SET webhook_url = replace(webhook_url, '/old', '/new') WHERE id = 'moved'",
    )
    .await;
    app.change("UPDATE reflector.room SET webhook_url = NULL WHERE id = 'quit'").await;
    app.change("DELETE FROM reflector.room WHERE id = 'gone'").await;
    app.change("UPDATE reflector.webhook_delivery SET next_at = now()").await;
    app.change("UPDATE reflector.webhook_target SET next_at = now()").await;
    app.settled("delivered", 1).await;
    app.settled("parked", 2).await;
    assert_eq!((app.receiver.calls("/new").len(), app.receiver.calls("/old").len()), (1, 3));
    sending.stop().await;
}

#[tokio::test]
async fn a_webhook_that_nobody_took_for_three_days_is_parked() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    app.receiver.reply("/room", Reply::Status(500));
    app.ended_meeting("m-1", "standup").await;
    let sending = app.sending();
    app.receiver.receive("/room", 1).await;
    wait::until("the attempt's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_attempt").await == 1).then_some(())
    })
    .await;
    app.receiver.reply("/room", Reply::Status(500));
    app.change("UPDATE reflector.webhook_delivery SET next_at = now(), since = now() - interval '72 h'")
        .await;
    app.change("UPDATE reflector.webhook_target SET next_at = now()").await;
    app.settled("parked", 1).await;
    sending.stop().await;
}

#[tokio::test]
async fn what_was_settled_long_ago_is_forgotten() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    for meeting in ["young", "old", "parked", "old-parked"] {
        app.ended_meeting(meeting, "standup").await;
    }
    let sending = app.sending();
    app.settled("delivered", 4).await;
    sending.stop().await;
    app.change("UPDATE reflector.webhook_delivery SET state = 'parked', reason = 'so' WHERE subject_id LIKE '%parked'").await;
    app.change("UPDATE reflector.webhook_delivery SET settled_at = now() - interval '31 days' WHERE subject_id <> 'young'").await;
    app.change("UPDATE reflector.webhook_delivery SET settled_at = now() - interval '91 days' WHERE subject_id = 'old-parked'").await;
    assert_eq!(app.state.webhooks.forget_old().await.unwrap(), 2);
    let left: Vec<String> =
        sqlx::query_scalar("SELECT subject_id FROM reflector.webhook_delivery ORDER BY subject_id")
            .fetch_all(app.db())
            .await
            .unwrap();
    assert_eq!(left, ["parked", "young"]);
}

#[tokio::test]
async fn what_cannot_be_announced_holds_up_no_other_meeting() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    app.change_schema(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON reflector.webhook_delivery
         FOR EACH ROW WHEN (NEW.meeting_id LIKE 'bad-%') EXECUTE FUNCTION refuse()",
    )
    .await;
    for number in 0..150 {
        app.ended_meeting(&format!("bad-{number}"), "standup").await;
    }
    app.ended_meeting("good", "standup").await;
    let sending = app.sending();
    assert_eq!(app.receiver.receive("/room", 1).await[0].body["meeting"]["id"], "good");
    assert_eq!(app.count("SELECT count(*) FROM reflector.webhook_fact").await, 150, "they are tried again");
    app.change_schema("DROP TRIGGER refuse ON reflector.webhook_delivery").await;
    app.change("UPDATE reflector.webhook_fact SET due_at = now()").await;
    app.settled("delivered", 151).await;
    sending.stop().await;
}

#[tokio::test]
async fn rooms_that_hang_leave_the_pipeline_a_way() {
    let app = App::with_pipeline().await;
    for number in 0..20 {
        app.room(&format!("hanging-{number}"), "/hanging").await;
        app.receiver.reply("/hanging", Reply::Silence);
        app.ended_meeting(&format!("m-{number}"), &format!("hanging-{number}")).await;
    }
    let sending = app.sending();
    app.receiver.receive("/hanging", 16).await;
    app.receiver.receive("/pipeline", 20).await;
    app.room("silent", "").await;
    app.ended_meeting("late", "silent").await;
    app.state.webhooks.wake();
    app.receiver.receive("/pipeline", 21).await;
    let given_up = app.count("SELECT count(*) FROM reflector.webhook_attempt WHERE status IS NULL").await;
    assert_eq!((given_up, app.receiver.calls("/hanging").len()), (0, 16), "they hang still");
    sending.stop().await;
}

#[tokio::test]
async fn what_an_operator_has_sent_again_begins_anew_with_short_pauses() {
    let app = App::start().await;
    app.room("standup", "/room").await;
    app.receiver.reply("/room", Reply::Status(404));
    app.ended_meeting("m-1", "standup").await;
    let sending = app.sending();
    app.settled("parked", 1).await;
    app.change("UPDATE reflector.webhook_delivery SET attempts = 30").await;
    app.receiver.reply("/room", Reply::Status(500));
    let id = app.text("SELECT id FROM reflector.webhook_delivery").await.unwrap();
    assert!(api::db::webhook_deliveries::retry(app.db(), &id).await.unwrap());
    app.state.webhooks.wake();
    assert_eq!(app.receiver.receive("/room", 2).await[1].header("x-webhook-retry"), "30");
    wait::until("the attempt's end", async || {
        (app.count("SELECT count(*) FROM reflector.webhook_attempt WHERE number = 31").await == 1)
            .then_some(())
    })
    .await;
    let pause =
        app.count("SELECT extract(epoch FROM next_at - now())::int8 FROM reflector.webhook_delivery").await;
    assert!((30..=66).contains(&pause), "{pause}");
    sending.stop().await;
}
