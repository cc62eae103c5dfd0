//! Agents with a secret of their own.

use std::time::{Duration, Instant};

use api::config::Secret;
use api::db::agent_secrets;
use api::enrolment::{self, Enrolment};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;

use crate::app::{App, SECRET_KEY, WEBHOOK_SECRET, delivery};
use crate::support::wait::until;

/// Enrols an agent and returns its secret.
async fn enroll(app: &App, name: &str, salt: &str) -> String {
    assert!(agent_secrets::enroll(&app.db, name, salt).await.unwrap());
    enrolment::secret(&Secret::new(SECRET_KEY), name, salt)
}

async fn status(app: &App, secret: &str, agent: Option<&str>) -> u16 {
    app.send(delivery(secret, agent)).await.status
}

#[tokio::test]
async fn an_enrolled_agent_signs_with_its_own_secret_and_nobody_elses() {
    let app = App::start().await;
    let (one, two) = (enroll(&app, "one", "a").await, enroll(&app, "two", "a").await);
    for (secret, agent, expected) in [
        (one.as_str(), Some("one"), 200),
        (two.as_str(), Some("two"), 200),
        (one.as_str(), Some("two"), 401),
        (one.as_str(), None, 401),
        (WEBHOOK_SECRET, None, 200),
        (WEBHOOK_SECRET, Some("one"), 401),
        (WEBHOOK_SECRET, Some("nobody"), 401),
        (WEBHOOK_SECRET, Some(""), 401),
        (one.as_str(), Some("ONE"), 401),
    ] {
        assert_eq!(status(&app, secret, agent).await, expected, "{agent:?}");
    }
    let refused = app.send(delivery(&one, Some("two"))).await.refusal();
    assert_eq!(refused, (401, "signature_invalid".to_owned(), "Invalid webhook signature".to_owned()));
}

#[tokio::test]
async fn a_revoked_agent_is_refused_within_seconds_and_enrolled_again_with_another_secret() {
    let app = App::start().await;
    let old = enroll(&app, "one", "a").await;
    assert_eq!(status(&app, &old, Some("one")).await, 200);
    assert!(agent_secrets::revoke(&app.db, "one").await.unwrap());
    assert!(!agent_secrets::revoke(&app.db, "one").await.unwrap(), "it was revoked already");
    until("the revoked agent is refused", async || {
        (status(&app, &old, Some("one")).await == 401).then_some(())
    })
    .await;
    assert_eq!(status(&app, WEBHOOK_SECRET, None).await, 200, "the other hosts go on");

    let new = enroll(&app, "one", "b").await;
    until("the new secret is accepted", async || {
        (status(&app, &new, Some("one")).await == 200).then_some(())
    })
    .await;
    assert_eq!(status(&app, &old, Some("one")).await, 401);
    assert!(!agent_secrets::enroll(&app.db, "one", "c").await.unwrap(), "it is enrolled already");
    let listed = agent_secrets::list(&app.db).await.unwrap();
    assert_eq!(listed.iter().map(|agent| agent.name.as_str()).collect::<Vec<_>>(), ["one"]);
}

#[tokio::test]
async fn where_agents_must_be_enrolled_the_shared_secret_is_not_enough() {
    let app = App::with(&[("JITSI_REQUIRE_AGENT", "true")]).await;
    let one = enroll(&app, "one", "a").await;
    assert_eq!(status(&app, WEBHOOK_SECRET, None).await, 401);
    assert_eq!(status(&app, &one, Some("one")).await, 200);
}

#[tokio::test]
async fn without_a_key_nobody_is_an_agent() {
    let app = App::with(&[("SECRET_KEY", "")]).await;
    let one = enroll(&app, "one", "a").await;
    assert_eq!(status(&app, &one, Some("one")).await, 401);
    assert_eq!(status(&app, WEBHOOK_SECRET, None).await, 200);
}

#[tokio::test]
async fn while_the_database_is_away_an_agent_is_told_to_come_back() {
    let app = App::start().await;
    let one = enroll(&app, "one", "a").await;
    app.db.close().await;
    let answer = app.send(delivery(&one, Some("one"))).await;
    assert_eq!((answer.status, answer.headers.contains_key("retry-after")), (503, true), "{}", answer.text);
}

#[tokio::test]
async fn requests_that_wait_for_a_database_that_is_away_give_up_together() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options =
        PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(silent.local_addr().unwrap().port());
    let enrolment = Enrolment::new(api::db::pool(options), Some(Secret::new(SECRET_KEY)));
    let begun = Instant::now();
    let all = futures_util::future::join_all((0..20).map(|_| enrolment.secrets("one"))).await;
    assert!(all.iter().all(Result::is_err));
    // One attempt takes three seconds.
    assert!(begun.elapsed() < Duration::from_secs(12), "{:?}", begun.elapsed());
}
