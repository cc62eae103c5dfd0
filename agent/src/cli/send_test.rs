//! `reflector-agent send-test`: one signed test event, and what its answer means.

use std::process::ExitCode;

use contract::event::{format_timestamp, name};
use contract::id::EventId;
use contract::verdict::Outcome;
use serde_json::json;
use time::OffsetDateTime;

use super::{print, say};
use crate::app;
use crate::clock::now_ms;
use crate::config::Config;
use crate::delivery::client::{self, Reply};
use crate::delivery::request;
use crate::outbox::model::{Claimed, Kind};

pub(super) fn send_test(config: &Config) -> anyhow::Result<ExitCode> {
    let reply = try_once(config)?;
    if reply.acknowledged {
        print(&format!(
            "The API at {} accepted a signed test event in {} ms: address, secret and clock are right.",
            config.api.url, reply.took_ms
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("The API at {} did not accept the test event: {}", config.api.url, said(&reply)));
    say(&format!("Next: {}", next_step(&reply, config.api.agent_id.is_some())));
    Ok(ExitCode::FAILURE)
}

/// Sends the test event once.
pub(super) fn try_once(config: &Config) -> anyhow::Result<Reply> {
    let (client, routes) = app::deliveries(config, app::http(config))?;
    let item = test_event(now_ms());
    let built =
        request::build(&routes, &config.secret, std::slice::from_ref(&item), now_ms().div_euclid(1000));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(client.send(built)))
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

/// What the answer said. The page of something that is no Reflector API is cut to what tells whose it is.
pub(super) fn said(reply: &Reply) -> String {
    /// In characters.
    const ENOUGH: usize = 100;
    match reply.outcome {
        Outcome::Answered { code: None, .. } if reply.note.chars().count() > ENOUGH => {
            reply.note.chars().take(ENOUGH).chain(['…']).collect()
        }
        Outcome::Answered { .. } | Outcome::Unreachable => reply.note.clone(),
    }
}

/// `is_named`: whether the agent says which one it is.
pub(super) fn next_step(reply: &Reply, is_named: bool) -> &'static str {
    client::next_step(reply.outcome, reply.next_step, is_named)
}

#[cfg(test)]
mod tests {
    use contract::problem::ProblemCode;

    use super::*;

    #[test]
    fn an_answer_that_is_not_the_apis_own_points_at_the_address() {
        let reply = |status, code, note: &str| Reply {
            outcome: Outcome::Answered { status, code, retry_after: None },
            took_ms: 1,
            note: note.to_owned(),
            server_time: None,
            next_step: None,
            results: None,
            acknowledged: false,
            wrong_name: false,
        };
        for (status, code, expected) in [
            (501, None, "check `url` in [api]"),
            (502, None, "check `url` in [api]"),
            (200, None, "check `url` in [api]"),
            (404, Some(ProblemCode::NotFound), "without `/v1`"),
            (401, Some(ProblemCode::SignatureInvalid), "the secret here"),
            (422, Some(ProblemCode::MeetingNotFound), "a problem of its own"),
        ] {
            let next = next_step(&reply(status, code, ""), false);
            assert!(next.contains(expected), "{status}: {next}");
        }
        let refused = reply(401, Some(ProblemCode::SignatureInvalid), "");
        assert!(next_step(&refused, true).contains("agents list"));
        let page = "501 not from a Reflector API: <html>".to_owned() + &"é".repeat(300);
        assert_eq!(said(&reply(501, None, &page)).chars().count(), 101);
        assert_eq!(said(&reply(401, Some(ProblemCode::SignatureInvalid), &page)), page);
    }
}
