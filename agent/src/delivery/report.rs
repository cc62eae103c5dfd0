//! What operators are told about deliveries: each change once, each next step with it.

use std::time::Duration;

use contract::problem::ProblemCode;
use contract::verdict::Outcome;

use super::client::{self, Reply};
use super::gate::Health;
use crate::clock::{self, ApiClock};
use crate::outbox::model::Seq;

/// The number of failures in a row after which an operator should know.
pub(super) const WORTH_A_WARNING: u32 = 5;

/// The API's health after a reply, with `failures` in a row before it.
pub(super) fn health(health: Health, failures: u32, reply: &Reply, wait: Duration, clock: &ApiClock) {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    match (health, reply.outcome) {
        (Health::Answering, _) if failures > 0 => {
            tracing::info!(failures, "the API answers again; deliveries go on");
        }
        (Health::Answering, _) => {}
        (Health::Failing, Outcome::Answered { status: 401, code, .. }) if failures == 0 => {
            tracing::warn!(reason = brief(reply), wait_ms, "{}", refused(code, clock));
        }
        (Health::Failing, _) if failures + 1 == WORTH_A_WARNING => tracing::warn!(
            reason = brief(reply),
            wait_ms,
            next = reply.next_step,
            "the API has not accepted deliveries {WORTH_A_WARNING} times in a row; everything is kept and retried (see `reflector-agent status`)"
        ),
        (Health::Failing, _) => {
            tracing::info!(reason = brief(reply), wait_ms, "a delivery did not get through; it is retried");
        }
    }
}

/// Whether secret or clock is to blame, as far as the answer tells.
fn refused(code: Option<ProblemCode>, clock: &ApiClock) -> String {
    match (code, clock.offset_ms()) {
        (Some(ProblemCode::TimestampInvalid), Some(offset)) => format!(
            "the API does not accept the time of our signatures: this host's clock is {}; everything is kept until the clocks agree",
            clock::in_words(offset)
        ),
        (Some(ProblemCode::TimestampInvalid), None) => {
            "the API does not accept the time of our signatures: compare `date -u` here and there; everything is kept until the clocks agree".into()
        }
        _ => "the API does not accept our signature: the secrets differ (see `reflector-agent send-test`); everything is kept, and tried at once when the secret's file changes".into(),
    }
}

/// One request and what it settled: for the metrics, and for whoever looks closely.
pub(super) fn attempt(reply: &Reply, settled: usize) {
    let status = match reply.outcome {
        Outcome::Answered { status, .. } => status,
        Outcome::Unreachable => 0,
    };
    let seconds = Duration::from_millis(u64::try_from(reply.took_ms).unwrap_or(0)).as_secs_f64();
    tracing::debug!(
        count.attempts = 1,
        observe.attempt_seconds = seconds,
        status,
        count.settled = settled,
        "a request was answered or given up"
    );
}

/// Items that wait for a person; `room` finds the room that they belong to.
pub(super) fn parked(ids: &[String], parked: &[(Seq, String)], room: impl Fn() -> String) {
    for (id, (_, why)) in ids.iter().zip(parked) {
        tracing::warn!(
            count.parked = 1,
            event.id = id,
            room = room(),
            reason = why,
            "an event was refused for good and is parked; see `reflector-agent deliveries show {id}`"
        );
    }
}

/// An event that fails alone, again and again, and that its room waits for; perhaps because the API knows no meeting for it.
pub(super) fn stuck(id: &str, room: &str, reply: &Reply, meeting_is_missing: bool) {
    tracing::warn!(event.id = id, room, reason = brief(reply), "{}", why_stuck(id, meeting_is_missing));
}

fn why_stuck(id: &str, meeting_is_missing: bool) -> String {
    if meeting_is_missing {
        return format!(
            "the API has no meeting for the room of an event, which was tried {WORTH_A_WARNING} times; its room waits, and what finds no meeting within an hour is parked (narrow `rooms` in [api] to the rooms that Reflector creates; see `reflector-agent deliveries show {id}`)"
        );
    }
    format!(
        "an event has failed {WORTH_A_WARNING} times in a row and its room waits for it; it is tried again (see `reflector-agent deliveries show {id}`)"
    )
}

/// What an answer was, for the log: its text, which may quote what was sent, stays in the outbox.
pub(super) fn brief(reply: &Reply) -> String {
    client::brief(reply.outcome, &reply.note)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_room_without_a_meeting_is_no_defect_of_the_api() {
        assert!(why_stuck("evt_1", true).contains("narrow `rooms`"));
        assert!(why_stuck("evt_1", false).contains("an event has failed"));
    }

    #[test]
    fn a_refused_signature_is_blamed_on_the_clock_only_where_the_api_does() {
        let late = ApiClock::default();
        late.learn(7_200_000, 0, 0);
        for (code, clock, expected) in [
            (Some(ProblemCode::TimestampInvalid), &late, "this host's clock is 2 h 0 min behind the API's"),
            (Some(ProblemCode::TimestampInvalid), &ApiClock::default(), "compare `date -u`"),
            (Some(ProblemCode::SignatureInvalid), &late, "the secrets differ"),
            (None, &late, "the secrets differ"),
        ] {
            let said = refused(code, clock);
            assert!(said.contains(expected), "{code:?}: {said}");
        }
    }
}
