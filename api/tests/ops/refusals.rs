//! What operators are told of deliveries that were refused, and of what they ask for in vain.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::ConnectInfo;
use contract::signature::AGENT;
use http::Request;
use serde_json::json;

use crate::app::{Answer, App, event, operator};

/// Delivers without a signature, in the name of an agent.
async fn claim(app: &App, agent: &str, address: &str) {
    let peer = SocketAddr::new(address.parse::<IpAddr>().unwrap(), 4711);
    let request = Request::post("/v1/jitsi/events")
        .header(AGENT, agent)
        .header("user-agent", "reflector-agent/0.1.0")
        .extension(ConnectInfo(peer))
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(app.send(request).await.status, 401);
}

async fn overview(app: &App) -> String {
    app.receipts_are_written().await;
    app.page("/ops/overview").await
}

#[tokio::test]
async fn names_that_nobody_proved_stand_among_the_deliveries_alone() {
    let app = App::start().await;
    for number in 0..14 {
        claim(&app, &format!("evil-{number}"), &format!("192.0.2.{}", number % 3)).await;
    }
    let page = overview(&app).await;
    assert!(page.contains("1 thing needs a look"), "{page}");
    assert!(page.contains("14 deliveries from 3 addresses claim agents that are not enrolled"), "{page}");
    assert!(page.contains("agent-id") && page.contains("<code>reflector-api agents list</code>"), "{page}");
    assert!(!page.contains("evil-") && !page.contains("class=\"finding problem\""), "{page}");
    assert!(app.page("/ops/deliveries").await.contains("evil-13"));

    // What is refused before anybody looks at the signature names its address as well.
    let request =
        Request::post("/v1/jitsi/events").header(AGENT, "evil-large").header("content-length", "9999999");
    assert_eq!(app.send(request.body(Body::from(vec![b' '; 300_000])).unwrap()).await.status, 413);
    let page = overview(&app).await;
    assert!(page.contains("(body_too_large)") && !page.contains("evil-"), "{page}");
}

#[tokio::test]
async fn an_enrolled_agent_that_is_refused_is_told_from_one_that_was_revoked() {
    let app = App::start().await;
    sqlx::raw_sql(
        "INSERT INTO reflector.agent_secret (name, salt, revoked_at) VALUES ('jitsi-1', 's', NULL), ('jitsi-2', 's', now())",
    )
    .execute(&app.db)
    .await
    .unwrap();
    for (agent, address) in [("jitsi-1", "192.0.2.1"), ("jitsi-2", "192.0.2.2"), ("jitsi-2", "192.0.2.2")] {
        claim(&app, agent, address).await;
    }
    let page = overview(&app).await;
    for text in [
        "1 delivery of the enrolled agent jitsi-1 carried no valid signature",
        "2 deliveries claim the agent jitsi-2, which is revoked",
        "agent-id",
        "<code>reflector-api agents list</code>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert_eq!(page.matches("class=\"finding problem\"").count(), 2, "{page}");
    assert!(!page.contains("JITSI_WEBHOOK_SECRET"), "advice for another secret: {page}");
}

#[tokio::test]
async fn what_is_no_event_is_looked_up_on_the_host_that_keeps_it() {
    let app = App::start().await;
    assert_eq!(app.deliver("/v1/jitsi/events", &json!({"event": "e"})).await.status, 422);
    let page = overview(&app).await;
    assert!(page.contains("(event_invalid)"), "{page}");
    assert!(!page.contains("says which room and why"), "{page}");
    assert!(page.contains(
        "<code>reflector-agent deliveries list --state parked; reflector-agent deliveries show ID</code>"
    ));
}

#[tokio::test]
async fn a_test_is_accepted_and_nothing_of_it_is_new() {
    let app = App::start().await;
    assert_eq!(
        app.deliver("/v1/jitsi/events", &event("evt_1", "test", "reflector-t", json!({}))).await.status,
        200
    );
    app.receipts_are_written().await;
    let page = app.page("/ops/deliveries?verdict=accepted").await;
    assert!(
        page.contains("id=\"receipt-") && page.contains("reflector-t") && !page.contains("1 new"),
        "{page}"
    );
}

async fn retry(app: &App, id: &str, header: Option<(&str, &str)>) -> Answer {
    let request = operator(Request::post(format!("/ops/webhooks/{id}/retry")));
    let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_retry_of_nothing_is_not_found_and_one_that_says_not_who_asks_is_told_what_to_add() {
    let app = App::start().await;
    let answer = retry(&app, "wh-gone", Some(("sec-fetch-site", "same-origin"))).await;
    assert_eq!(
        (answer.status, answer.text.contains("There is no such page")),
        (404, true),
        "{}",
        answer.text
    );

    let unsaid = retry(&app, "wh-gone", None).await;
    assert_eq!(unsaid.status, 403);
    assert!(unsaid.text.contains("Sec-Fetch-Site: same-origin"), "{}", unsaid.text);
    let foreign = retry(&app, "wh-gone", Some(("sec-fetch-site", "cross-site"))).await;
    assert!(
        foreign.status == 403 && foreign.text.contains("Another site asked for this"),
        "{}",
        foreign.text
    );
}
