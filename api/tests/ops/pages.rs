//! The pages: what they show, that they can be read without a script, and that nothing in them is executed or leads elsewhere.

use axum::body::Body;
use http::Request;
use serde_json::json;

use crate::app::{App, event, operator};

/// Every page that needs nothing to be there.
const PAGES: [&str; 6] =
    ["/ops/overview", "/ops/agents", "/ops/deliveries", "/ops/meetings", "/ops/recordings", "/ops/webhooks"];

async fn heartbeat(app: &App, host: &str, parked: u64) {
    let now = time::OffsetDateTime::now_utc();
    let now = now.format(&time::format_description::well_known::Rfc3339).unwrap();
    let body = json!({
        "version": "0.1.0", "host": host, "host_id": format!("id-of-{host}"), "started_at": now, "roles": ["prosody", "jibri"],
        "backlog": {"events": 0, "rooms": 0, "bytes": 0}, "parked": parked, "delivered_total": 12,
        "uploads": {"active": 0, "waiting": 0, "bytes_left": 0},
        "disk": [{"path": "/var/recordings", "free_bytes": 40_000_000_000_u64, "total_bytes": 100_000_000_000_u64}],
        "sent_at": now,
    });
    let answer = app.deliver("/v1/agents/heartbeat", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
}

async fn execute(app: &App, statement: &'static str) {
    sqlx::raw_sql(statement).execute(&app.db).await.unwrap();
}

#[tokio::test]
async fn an_empty_service_says_what_to_do_on_every_page() {
    let app = App::start().await;
    for (path, expected) in PAGES.into_iter().zip([
        "No agent has reported yet",
        "reflector-agent doctor",
        "reflector-agent send-test",
        "A meeting appears when a frontend opens one",
        "No recording has been reported",
        "Nothing was to be told",
    ]) {
        let page = app.page(path).await;
        assert!(page.contains(expected), "{path}: {page}");
    }
}

#[tokio::test]
async fn every_page_is_strict_and_takes_nothing_from_elsewhere() {
    let app = App::start().await;
    for path in PAGES {
        let answer = app.send(operator(Request::get(path)).body(Body::empty()).unwrap()).await;
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.headers[name], value, "{path}");
        }
        for other in ["http://", "https://", "//", " style=", "<style", "onclick", "javascript:"] {
            let body = answer.text.replace("<!doctype html>", "");
            assert!(
                !body.contains(&format!("=\"{other}")) && !body.contains(&format!("{other}\"")),
                "{path}: {other}"
            );
        }
        assert!(
            answer.text.contains("<noscript><meta http-equiv=\"refresh\""),
            "{path} stands still without a script"
        );
        assert!(answer.text.contains("aria-current=\"page\""), "{path} is not marked in the menu");
    }
    for asset in ["ops.css", "ops.js", "icon.svg"] {
        assert!(!app.page(&format!("/ops/assets/{asset}")).await.is_empty());
    }
}

#[tokio::test]
async fn what_is_wrong_stands_on_top_with_the_next_step() {
    let app = App::start().await;
    heartbeat(&app, "jitsi-well", 0).await;
    assert!(app.page("/ops/overview").await.contains("Nothing needs you"));

    heartbeat(&app, "jitsi-parked", 3).await;
    heartbeat(&app, "jitsi-silent", 0).await;
    execute(
        &app,
        "UPDATE reflector.agent SET last_seen_at = now() - interval '12 minutes' WHERE host = 'jitsi-silent'",
    )
    .await;
    app.deliver_with("ffffffffffffffffffffffffffffff00", "/v1/jitsi/events", "application/json", "{}").await;
    app.receipts_are_written().await;
    execute(
        &app,
        "INSERT INTO reflector.job (name, next_at, last_ended_at, last_succeeded, last_outcome)
         VALUES ('receipts.prune', now(), now(), false, 'no answer'), ('lifecycle.sweep', now(), now(), true, '')",
    )
    .await;
    let page = app.page("/ops/overview").await;
    assert!(page.contains("4 things need a look"), "{page}");
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}: {page}"));
    let silent = place("jitsi-silent has not been heard of for 12 min");
    let unsigned =
        place("1 delivery of the agent at an unknown address carried no valid signature, the latest ");
    let parked = place("3 items are parked on jitsi-parked");
    assert!(silent < parked && unsigned < parked, "a warning stands before a problem");
    place("<code>reflector-agent deliveries list --state parked</code>");
    place("The periodic work receipts.prune failed");
    assert!(!page.contains("jitsi-well"));

    let agents = app.page("/ops/agents").await;
    for text in
        ["jitsi-well", "version 0.1.0", "Prosody, Jibri", "40 GB of 100 GB free", "12 min ago", "in trouble"]
    {
        assert!(agents.contains(text), "{text}: {agents}");
    }
}

#[tokio::test]
async fn what_went_wrong_long_ago_or_is_not_done_any_more_is_no_finding() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-a").await;
    execute(
        &app,
        "INSERT INTO reflector.recording (id, meeting_id, file, status, completed_at, announced_at, missed_at)
         VALUES ('old', 'm-1', 'a.mp4', 'completed', now() - interval '9 days', NULL, now() - interval '8 days'),
           ('never', 'm-1', 'b.mp4', 'completed', now() - interval '9 days', now() - interval '8 days', NULL),
           ('nobody-s', NULL, 'c.mp4', 'completed', now(), NULL, now());
         INSERT INTO reflector.job (name, next_at, last_ended_at, last_succeeded, last_outcome)
         VALUES ('whereby.clean_up', now(), now(), false, 'no answer'), ('of.an.older.release', now(), now(), false, 'no answer')",
    )
    .await;
    let page = app.page("/ops/overview").await;
    assert!(page.contains("Nothing needs you"), "{page}");
    execute(
        &app,
        "UPDATE reflector.recording SET missed_at = now() - interval '6 days' WHERE id = 'old';
         UPDATE reflector.recording SET announced_at = now() - interval '6 days' WHERE id = 'never';
         INSERT INTO reflector.job (name, next_at, last_ended_at, last_succeeded, last_outcome)
         VALUES ('lifecycle.sweep', now(), now(), false, 'no answer')",
    )
    .await;
    let page = app.page("/ops/overview").await;
    for text in [
        "3 things need a look",
        "1 recording is not in the storage",
        "1 recording was announced",
        "The periodic work lifecycle.sweep failed",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

#[tokio::test]
async fn deliveries_are_found_by_room_sender_and_verdict_and_their_pages_follow_each_other() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-a").await;
    for number in 0..60 {
        let event =
            event(&format!("evt_{number}"), "muc-room-created", &format!("reflector-{number}"), json!({}));
        assert_eq!(app.deliver("/v1/jitsi/events", &event).await.status, 404);
    }
    let joined = event("evt_a", "muc-occupant-joined", "reflector-a", json!({"occupant_id": "o-1"}));
    assert_eq!(app.deliver("/v1/jitsi/events", &joined).await.status, 200);
    app.receipts_are_written().await;
    let rows = |page: &str| page.matches("id=\"receipt-").count();

    let newest = app.page("/ops/deliveries").await;
    assert_eq!(rows(&newest), 50);
    assert!(newest.contains("1 new") && newest.contains("No meeting has this room"), "{newest}");
    let (_, rest) = newest.rsplit_once("<a href=\"deliveries?before=").unwrap();
    let before = rest.split('"').next().unwrap();
    assert_eq!(rows(&app.page(&format!("/ops/deliveries?before={before}")).await), 11);

    for (query, expected) in [
        ("room=reflector-7", 1),
        ("room=Reflector-7", 1),
        ("room=reflector-7&verdict=stored", 0),
        ("verdict=stored", 1),
        ("verdict=rejected", 50),
        ("sender=nobody", 0),
        ("verdict=nonsense", 50),
    ] {
        assert_eq!(rows(&app.page(&format!("/ops/deliveries?{query}")).await), expected, "{query}");
    }
}

#[tokio::test]
async fn a_meeting_is_found_by_its_room_and_shown_with_a_bar_for_everybody() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-standup-abc").await;
    app.meeting("m-2", "reflector-other-abc").await;
    let join = |id, name| {
        let data = json!({"occupant_id": id, "display_name": name, "kind": "human"});
        event(&format!("evt_{id}"), "muc-occupant-joined", "reflector-standup-abc", data)
    };
    let recorder = json!({"occupant_id": "r", "display_name": "Jibri", "kind": "recorder"});
    let recorder = event("evt_r", "muc-occupant-joined", "reflector-standup-abc", recorder);
    let on = event("evt_on", "jibri-recording-on", "reflector-standup-abc", json!({"session_id": "s-1"}));
    let batch = [join("a", "Ann"), join("b", "<b>Bob</b>"), recorder, on];
    assert_eq!(app.deliver_batch(&batch).await.status, 200);

    for (query, ids) in [
        ("", &["m-1", "m-2"][..]),
        ("?room=standup", &["m-1"]),
        ("?room=reflector-STANDUP", &["m-1"]),
        ("?room=m-2", &["m-2"]),
        ("?room=stand%25", &[]),
        ("?room=nothing", &[]),
    ] {
        let page = app.page(&format!("/ops/meetings{query}")).await;
        for id in ["m-1", "m-2"] {
            assert_eq!(page.contains(&format!("id=\"meeting-{id}\"")), ids.contains(&id), "{query} {id}");
        }
    }
    assert!(
        app.page("/ops/meetings?room=standup")
            .await
            .contains("data-label=\"People now\" class=\"number\">2<")
    );

    let page = app.page("/ops/meetings/m-1").await;
    assert_eq!(
        (page.matches("class=\"bar-human\"").count(), page.matches("class=\"bar-machine\"").count()),
        (2, 1)
    );
    assert_eq!(page.matches("class=\"bar-recording\"").count(), 1);
    assert!(page.contains("2 in it now") && page.contains("Ann"), "{page}");
    assert!(
        page.find("jibri-recording-on") < page.find("muc-occupant-joined"),
        "the latest event comes first"
    );
    assert!(
        !page.contains("<b>Bob") && page.contains("&#60;b&#62;Bob"),
        "a name is no part of the page: {page}"
    );
    let answer = app.send(operator(Request::get("/ops/meetings/gone")).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.contains("There is no such page")), (404, true));
}

#[tokio::test]
async fn meetings_that_are_on_are_found_behind_those_that_are_over() {
    let app = App::start().await;
    app.meeting("on", "reflector-on").await;
    execute(
        &app,
        "INSERT INTO reflector.meeting (id, room_name, platform, start_date, end_date, is_locked, room_mode, recording_type,
           recording_trigger, is_active, ended_at, ended_reason)
         SELECT 'over-' || n, 'reflector-over-' || n, 'jitsi', now(), now(), false, 'normal', 'local', 'none', false, now(), 'owner'
         FROM generate_series(1, 120) n",
    )
    .await;
    let overview = app.page("/ops/overview").await;
    assert!(overview.contains("id=\"meeting-on\"") && !overview.contains("id=\"meeting-over"), "{overview}");
    let rows = |page: &str| page.matches("id=\"meeting-").count();
    let mut seen = 0;
    let mut path = "meetings".to_owned();
    for expected in [50, 50, 21] {
        let page = app.page(&format!("/ops/{path}")).await;
        assert_eq!(rows(&page), expected, "{path}");
        seen += rows(&page);
        let older = page.split("<a href=\"meetings?after=").nth(1).and_then(|rest| rest.split('"').next());
        path = older.map(|mark| format!("meetings?after={mark}")).unwrap_or_default();
    }
    assert_eq!((seen, path.as_str()), (121, ""));
    assert!(app.page("/ops/meetings?room=over").await.contains("There are more; type more of the name"));
}

#[tokio::test]
async fn recordings_are_listed_by_state_and_say_why_they_cannot_be_played() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-a").await;
    execute(
        &app,
        "INSERT INTO reflector.recording (id, meeting_id, room_name, file, status, completed_at, size_bytes, duration_ms)
         VALUES ('rec-1', 'm-1', 'reflector-a', '/var/recordings/x/a.mp4', 'completed', now(), 1234567, 90000);
         INSERT INTO reflector.recording (id, meeting_id, file, status, completed_at, missed_at)
         VALUES ('rec-2', 'm-1', 'b.mp4', 'truncated', now(), now())",
    )
    .await;
    let all = app.page("/ops/recordings").await;
    for text in ["a.mp4", "1.2 MB", "1 min", "on its host", "b.mp4", "missing", "truncated", "meetings/m-1"] {
        assert!(all.contains(text), "{text}: {all}");
    }
    let missing = app.page("/ops/recordings?state=missing").await;
    assert!(missing.contains("b.mp4") && !missing.contains("a.mp4"));
    assert!(app.page("/ops/overview").await.contains("1 recording is not in the storage"));
    let page = app.page("/ops/recordings/rec-1").await;
    assert!(page.contains("The recording is on the host that made it") && !page.contains("<video"), "{page}");
}

#[tokio::test]
async fn a_parked_webhook_is_found_and_tried_again_by_an_operator_alone() {
    let app = App::start().await;
    app.meeting("m-1", "reflector-a").await;
    execute(
        &app,
        "INSERT INTO reflector.webhook_target (target) VALUES ('pipeline');
         INSERT INTO reflector.webhook_delivery (id, event, subject_id, meeting_id, target, body, state, attempts, settled_at, reason)
         VALUES ('wh-1', 'meeting.ended', 'm-1', 'm-1', 'pipeline', '{}', 'parked', 1, now(), 'the receiver answered 404');
         INSERT INTO reflector.webhook_attempt (delivery_id, number, duration_ms, status, error, preview)
         VALUES ('wh-1', 1, 12, 404, 'answered 404', '<i>not here</i>')",
    )
    .await;
    assert!(app.page("/ops/overview").await.contains("1 webhook is parked"));
    let page = app.page("/ops/webhooks?state=parked").await;
    assert!(
        page.contains("the receiver answered 404") && page.contains("action=\"webhooks/wh-1/retry\""),
        "{page}"
    );
    assert!(app.page("/ops/webhooks/wh-1").await.contains("&#60;i&#62;not here"));
    assert!(app.page("/ops/meetings/m-1").await.contains("action=\"../webhooks/wh-1/retry\""));

    let retry = || operator(Request::post("/ops/webhooks/wh-1/retry"));
    let state = async || -> String {
        sqlx::query_scalar("SELECT state FROM reflector.webhook_delivery").fetch_one(&app.db).await.unwrap()
    };
    let foreign = retry().header("origin", "https://evil.example").header("host", "reflector.example");
    let answer = app.send(foreign.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, state().await.as_str()), (403, "parked"));
    let answer = app.send(retry().body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, state().await.as_str()), (403, "parked"), "nobody says who asks");
    let ours = retry().header("sec-fetch-site", "same-origin");
    let answer = app.send(ours.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, state().await.as_str()), (303, "waiting"));
    assert_eq!(answer.headers["location"], "../wh-1");
    assert!(!app.page("/ops/webhooks/wh-1").await.contains("/retry\""));
}

#[tokio::test]
async fn a_page_says_when_the_database_does_not_answer() {
    let app = App::start().await;
    app.db.close().await;
    let answer = app.send(operator(Request::get("/ops/overview")).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 503);
    assert!(
        answer.text.contains("The database does not answer") && answer.headers.contains_key("retry-after")
    );
}
