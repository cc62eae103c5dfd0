//! `reflector-agent send-test`: one signed test event, and what its answer means.

use std::process::ExitCode;

use contract::event::{format_timestamp, name};
use contract::id::EventId;
use contract::problem::ProblemCode;
use contract::verdict::Outcome;
use serde_json::json;
use time::OffsetDateTime;

use super::{print, say};
use crate::app;
use crate::clock::now_ms;
use crate::config::Config;
use crate::delivery::client::Reply;
use crate::delivery::request;
use crate::outbox::model::{Claimed, Kind};

pub(super) fn send_test(config: &Config) -> anyhow::Result<ExitCode> {
    let (client, routes) = app::deliveries(config, app::http(config))?;
    let item = test_event(now_ms());
    let built =
        request::build(&routes, &config.secret.keys, std::slice::from_ref(&item), now_ms().div_euclid(1000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(client.send(built));
    if reply.acknowledged {
        print(&format!(
            "The API at {} accepted a signed test event in {} ms: address, secret and clock are right.",
            config.api.url, reply.took_ms
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("The API at {} did not accept the test event: {}", config.api.url, reply.note));
    say(&format!("Next: {}", next_step(&reply)));
    Ok(ExitCode::FAILURE)
}

/// An event that any API acknowledges and that changes no meeting.
pub(super) fn test_event(now: i64) -> Claimed {
    let timestamp = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now) * 1_000_000);
    let body = json!({
        "event": name::TEST,
        "room": "test",
        "timestamp": format_timestamp(timestamp.unwrap_or(OffsetDateTime::UNIX_EPOCH)),
        "data": {},
    });
    let body = body.to_string().into_bytes();
    Claimed {
        seq: 0,
        id: EventId::of_body(&body).to_string(),
        kind: Kind::Event,
        waits_since: None,
        body: body.into(),
    }
}

pub(super) fn next_step(reply: &Reply) -> &'static str {
    match reply.outcome {
        Outcome::Unreachable => reply.next_step.unwrap_or("check `url` in [api]"),
        Outcome::Answered { code: Some(ProblemCode::TimestampInvalid), .. } => {
            "this host's clock or the API's is wrong: compare `date -u` on both, and turn on time synchronisation"
        }
        Outcome::Answered { status: 401, .. } => {
            "the secret here is not the API's JITSI_WEBHOOK_SECRET: compare the two (`reflector-agent check` says where ours was found)"
        }
        Outcome::Answered { code: None, status, .. } if status < 500 => {
            "something other than a Reflector API answered: check `url` in [api] and any proxy in between"
        }
        Outcome::Answered { .. } => "the API has a problem of its own: look at its log and at …/health",
    }
}
