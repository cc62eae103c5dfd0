//! The way to the API: name, connection, TLS, health, clock, secret.

use std::time::Duration;

use contract::problem::code_of_body;
use hyper::{Method, Request};

use super::check::{Check, Trial, trial};
use super::scene::Scene;
use crate::chain::Chain;
use crate::clock::{in_words, now_ms};
use crate::delivery::client::{Client, Reply};
use crate::delivery::request::{self, Routes};
use crate::http::{self, Answer, HttpError};

/// How long a question may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Signatures are refused from this difference of the clocks on, in milliseconds.
const REFUSED: u64 = 300_000;

/// A difference that is worth a word, in milliseconds: the answer's date has whole seconds, and the question took some.
const WORTH_A_WORD: u64 = 30_000;

pub(super) fn checks(scene: &Scene) -> Vec<Check> {
    let url = &scene.survey.api.url;
    let via =
        scene.survey.proxies.shown().map_or_else(String::new, |proxy| format!(" through the proxy {proxy}"));
    let whom = if url.is_empty() { "the API" } else { url };
    let connection = trial("api-connection", format!("asked {whom} for /v1/jitsi/health{via}"));
    let health = trial("api-health", "read the answer");
    let clock = trial("clock", "compared this host's clock with the date of the API's answer");
    let secret = trial("api-secret", "sent a signed test event, which changes no meeting");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (false, Ok(runtime)) = (url.is_empty(), runtime) else {
        let why = "there is no address of an API: see `config`";
        return [connection, health, clock, secret].map(|trial| trial.skipped(why)).into();
    };
    runtime.block_on(async {
        let http = http::Client::new(&scene.survey.api, &scene.survey.proxies, 1);
        let sent = now_ms();
        let answer = ask(&http, url).await;
        let received = now_ms();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                let why = "the API cannot be reached: see `api-connection`";
                let skipped = [health, clock, secret].map(|trial| trial.skipped(why));
                let failed = connection.failure(Chain(&error).to_string(), error.next_step());
                return [failed].into_iter().chain(skipped).collect();
            }
        };
        let (status, date) = (answer.head.status.as_u16(), date_of(&answer));
        let took = received - sent;
        vec![
            connection.ok(format!("{status} in {took} ms")),
            judge_health(health, status, &answer.body),
            judge_clock(clock, date.map(|date| sent + took / 2 - date)),
            send(scene, secret, http).await,
        ]
    })
}

async fn ask(http: &http::Client, url: &str) -> Result<Answer, HttpError> {
    let mut request = Request::new(http::whole(""));
    *request.method_mut() = Method::GET;
    let uri = format!("{}/v1/jitsi/health", url.trim_end_matches('/')).parse();
    *request.uri_mut() = uri.map_err(|error| HttpError::Broken(format!("{error}")))?;
    http.exchange(request, PATIENCE).await
}

/// The answer's date, in milliseconds since 1970.
fn date_of(answer: &Answer) -> Option<i64> {
    let date = answer.head.headers.get(hyper::header::DATE)?.to_str().ok()?;
    let format = &time::format_description::well_known::Rfc2822;
    let date = time::OffsetDateTime::parse(&date.replace("GMT", "+0000"), format).ok()?;
    // The middle of the second that is named.
    Some(date.unix_timestamp().saturating_mul(1000) + 500)
}

fn judge_health(trial: Trial, status: u16, body: &[u8]) -> Check {
    #[derive(serde::Deserialize)]
    struct Health {
        service: String,
        webhook_secret_configured: bool,
    }
    let health =
        serde_json::from_slice::<Health>(body).ok().filter(|health| health.service == "jitsi-webhooks");
    match (status, health) {
        (200, Some(Health { webhook_secret_configured: true, .. })) => {
            trial.ok("a Reflector API that takes deliveries")
        }
        (200, Some(_)) => trial.failure(
            "a Reflector API without a secret for webhooks: it refuses every delivery",
            "set JITSI_WEBHOOK_SECRET on the API, the same as here",
        ),
        (503, _) if code_of_body(body).is_some() => trial.failure(
            "503: a Reflector API that is starting, or that is without its database",
            "wait a minute and look again; then at that service's own log. What waits here is sent when it is back",
        ),
        (status, _) => trial.failure(
            format!("{status}, and not the health page of a Reflector API"),
            "look at `url` in [api] and at any proxy in between: something else answers there",
        ),
    }
}

/// `offset`: by how many milliseconds this host's clock is ahead.
fn judge_clock(trial: Trial, offset: Option<i64>) -> Check {
    let next = "turn on time synchronisation on both hosts: `timedatectl set-ntp true`, or install chrony";
    match offset {
        None => trial.skipped("the answer has no date"),
        Some(offset) if offset.unsigned_abs() >= REFUSED => trial.failure(
            format!("it is {}: signatures are refused as too old or too new", in_words(offset)),
            next,
        ),
        Some(offset) if offset.unsigned_abs() >= WORTH_A_WORD => {
            trial.warning(format!("it is {}; at five minutes deliveries are refused", in_words(offset)), next)
        }
        Some(_) => trial.ok("they agree"),
    }
}

async fn send(scene: &Scene, trial: Trial, http: http::Client) -> Check {
    let Some(secret) = &scene.survey.secret else {
        return trial.skipped("there is no secret to sign with here: see `config`");
    };
    let Ok(routes) = Routes::below(&scene.survey.api.url) else {
        return trial.skipped("the address is none");
    };
    let item = super::super::send_test::test_event(now_ms());
    let request = request::build(&routes, secret, std::slice::from_ref(&item), now_ms().div_euclid(1000));
    let reply: Reply = Client::new(http, PATIENCE).send(request).await;
    if reply.acknowledged {
        return trial.ok(format!("accepted in {} ms: both sides have the same secret", reply.took_ms));
    }
    trial.failure(
        super::super::send_test::said(&reply),
        super::super::send_test::next_step(&reply, secret.agent.is_some()),
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;

    #[test]
    fn only_a_reflector_api_with_a_secret_is_well() {
        let health = |configured| {
            format!(
                r#"{{"status":"ok","service":"jitsi-webhooks","timestamp":"x","webhook_secret_configured":{configured}}}"#
            )
        };
        for (status, body, outcome, said) in [
            (200, health(true), Outcome::Ok, "takes deliveries"),
            (200, health(false), Outcome::Failure, "without a secret"),
            (200, "<html>".into(), Outcome::Failure, "not the health page"),
            (502, health(true), Outcome::Failure, "502"),
            (503, "<html>".into(), Outcome::Failure, "not the health page"),
            (503, r#"{"code":"internal"}"#.into(), Outcome::Failure, "is starting"),
        ] {
            let check = judge_health(trial("api-health", ""), status, body.as_bytes());
            assert_eq!(check.outcome, outcome, "{status} {body}");
            assert!(check.found.contains(said), "{check:?}");
        }
    }

    #[test]
    fn a_clock_is_wrong_before_its_signatures_are_refused() {
        for (offset, outcome) in [
            (None, Outcome::Skipped),
            (Some(0), Outcome::Ok),
            (Some(-29_000), Outcome::Ok),
            (Some(-31_000), Outcome::Warning),
            (Some(300_000), Outcome::Failure),
            (Some(i64::MIN), Outcome::Failure),
        ] {
            assert_eq!(judge_clock(trial("clock", ""), offset).outcome, outcome, "{offset:?}");
        }
    }
}
