//! The way to the API, tried before anything is written.

use contract::verdict::Outcome;

use crate::cli::send_test;
use crate::config::Config;
use crate::delivery::client::Reply;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Address, secret and clock are right.
    Accepted,
    /// Time will not cure this: what was given is wrong.
    Refused,
    /// Nobody answers, or not just now. The agent tries again by itself, once it runs.
    NotNow,
}

/// The verdict, and what to tell.
pub(super) struct Trial {
    pub(super) verdict: Verdict,
    pub(super) found: String,
    pub(super) next: &'static str,
}

/// Sends the signed test event.
pub(super) fn run(config: &Config) -> anyhow::Result<Trial> {
    let reply = send_test::try_once(config)?;
    let verdict = verdict(&reply);
    let found = match verdict {
        Verdict::Accepted => {
            format!("The API at {} accepted a signed test event in {} ms.", config.api.url, reply.took_ms)
        }
        Verdict::Refused => {
            format!("The API at {} does not accept this: {}", config.api.url, send_test::said(&reply))
        }
        Verdict::NotNow => {
            format!("The API at {} cannot be reached now: {}", config.api.url, send_test::said(&reply))
        }
    };
    Ok(Trial { verdict, found, next: send_test::next_step(&reply, config.api.agent_id.is_some()) })
}

fn verdict(reply: &Reply) -> Verdict {
    match reply.outcome {
        _ if reply.acknowledged => Verdict::Accepted,
        _ if reply.wrong_name => Verdict::Refused,
        Outcome::Unreachable
        | Outcome::Answered { status: 408 | 429, .. }
        | Outcome::Answered { status: 500.., code: Some(_), .. }
        // A proxy whose API is down.
        | Outcome::Answered { status: 502..=504, .. } => Verdict::NotNow,
        Outcome::Answered { .. } => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use contract::problem::ProblemCode;

    use super::*;

    #[test]
    fn only_what_time_does_not_cure_is_a_refusal() {
        let answered = |status, code| Outcome::Answered { status, code, retry_after: None };
        for (outcome, acknowledged, expected) in [
            (answered(200, None), true, Verdict::Accepted),
            (answered(200, None), false, Verdict::Refused),
            (answered(401, Some(ProblemCode::SignatureInvalid)), false, Verdict::Refused),
            (answered(404, None), false, Verdict::Refused),
            (answered(429, None), false, Verdict::NotNow),
            (answered(501, None), false, Verdict::Refused),
            (answered(500, None), false, Verdict::Refused),
            (answered(500, Some(ProblemCode::Internal)), false, Verdict::NotNow),
            (answered(502, None), false, Verdict::NotNow),
            (answered(503, Some(ProblemCode::Internal)), false, Verdict::NotNow),
            (Outcome::Unreachable, false, Verdict::NotNow),
        ] {
            let mut reply = Reply {
                outcome,
                took_ms: 1,
                note: String::new(),
                server_time: None,
                next_step: None,
                results: None,
                acknowledged,
                wrong_name: false,
            };
            assert_eq!(verdict(&reply), expected, "{outcome:?}");
            reply.wrong_name = outcome == Outcome::Unreachable;
            if reply.wrong_name {
                assert_eq!(verdict(&reply), Verdict::Refused);
            }
        }
    }
}
