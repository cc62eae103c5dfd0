//! What an attempt means for a delivery and for its receiver: a function of values.

use std::time::Duration;

use super::client::Outcome;

/// The pause after the first attempt; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_mins(1);
/// The longest pause while a delivery is young.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// A delivery is young for a day.
const YOUTH: Duration = Duration::from_hours(24);
/// The pause after that.
const OLD_PAUSE: Duration = Duration::from_hours(3);
/// After three days nobody tries any more.
const LIFETIME: Duration = Duration::from_hours(72);
/// The longest time that a receiver may ask to be left alone for.
const LONGEST_REST: Duration = Duration::from_hours(6);
/// The longest pause between two attempts at a receiver that does not answer at all.
const LONGEST_SILENCE: Duration = Duration::from_mins(15);

/// What becomes of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The receiver has it.
    Delivered,
    /// It is sent again after this pause.
    Retry(Duration),
    /// Another attempt would end alike: it waits for an operator, for this reason.
    Park(String),
}

/// What becomes of a delivery whose attempt number `attempt` had this `outcome`, `age` after the first one was due. An operator who has it
/// sent again begins anew.
pub fn verdict(outcome: &Outcome, attempt: u32, age: Duration) -> Verdict {
    match outcome {
        Outcome::Answered { status: 200..=299, .. } => Verdict::Delivered,
        Outcome::Answered { status: status @ 300..=399, .. } => {
            Verdict::Park(format!("the receiver answered {status}: redirects are not followed"))
        }
        Outcome::Answered { status: status @ 400..=499, .. } if !matches!(status, 408 | 425 | 429) => {
            Verdict::Park(format!("the receiver refused it with {status}"))
        }
        Outcome::Forbidden(forbidden) => Verdict::Park(forbidden.to_string()),
        Outcome::Refused(reason) => Verdict::Park(reason.clone()),
        Outcome::Answered { .. } | Outcome::TimedOut | Outcome::Unreachable(_) if age >= LIFETIME => {
            let days = LIFETIME.as_secs() / 86_400;
            Verdict::Park(format!("the receiver did not take it for {days} days"))
        }
        Outcome::Answered { .. } | Outcome::TimedOut | Outcome::Unreachable(_) => {
            Verdict::Retry(pause(attempt, age).max(rest(outcome)))
        }
    }
}

/// How long the receiver is left alone altogether after this `outcome`, which is the failure number `failures` in a row without an
/// answer. What waits for a receiver that answers waits only for its own turn.
pub fn silence(outcome: &Outcome, failures: u32) -> Duration {
    match outcome {
        Outcome::TimedOut | Outcome::Unreachable(_) => doubled(FIRST_PAUSE, failures).min(LONGEST_SILENCE),
        Outcome::Answered { .. } | Outcome::Forbidden(_) | Outcome::Refused(_) => rest(outcome),
    }
}

/// The pause that the receiver asks for.
fn rest(outcome: &Outcome) -> Duration {
    match outcome {
        Outcome::Answered { status: 429 | 503, retry_after: Some(rest), .. } => LONGEST_REST.min(*rest),
        _ => Duration::ZERO,
    }
}

fn pause(attempt: u32, age: Duration) -> Duration {
    if age < YOUTH { doubled(FIRST_PAUSE, attempt).min(LONGEST_PAUSE) } else { OLD_PAUSE }
}

/// `first`, doubled for each time after the first.
fn doubled(first: Duration, time: u32) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(time.saturating_sub(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::address::Forbidden;

    const MINUTE: Duration = Duration::from_mins(1);
    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    const SECOND: Duration = Duration::from_secs(1);

    fn answered(status: u16, retry_after: Option<u64>) -> Outcome {
        Outcome::Answered {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            preview: String::new(),
        }
    }

    /// The verdict without the words.
    fn kind(outcome: &Outcome, attempt: u32, age: Duration) -> Result<bool, Duration> {
        match verdict(outcome, attempt, age) {
            Verdict::Delivered => Ok(true),
            Verdict::Park(reason) => {
                assert!(!reason.is_empty());
                Ok(false)
            }
            Verdict::Retry(pause) => Err(pause),
        }
    }

    #[test]
    fn success_settles_a_refusal_parks_and_all_else_is_tried_again() {
        let (delivered, parked, again) = (Ok(true), Ok(false), Err(MINUTE));
        for (outcome, expected) in [
            (answered(200, None), delivered),
            (answered(204, None), delivered),
            (answered(301, None), parked),
            (answered(307, None), parked),
            (answered(400, None), parked),
            (answered(401, None), parked),
            (answered(404, None), parked),
            (answered(410, None), parked),
            (answered(408, None), again),
            (answered(425, None), again),
            (answered(429, None), again),
            (answered(500, None), again),
            (answered(503, None), again),
            (answered(599, None), again),
            (Outcome::TimedOut, again),
            (Outcome::Unreachable("connection refused".to_owned()), again),
            (Outcome::Forbidden(Forbidden([10, 0, 0, 1].into())), parked),
            (Outcome::Refused("the room is gone".to_owned()), parked),
        ] {
            assert_eq!(kind(&outcome, 1, Duration::ZERO), expected, "{outcome:?}");
        }
    }

    #[test]
    fn pauses_double_from_a_minute_to_an_hour_and_grow_after_a_day_until_three_days_are_over() {
        for (attempt, age, expected) in [
            (1, Duration::ZERO, Err(MINUTE)),
            (2, MINUTE, Err(2 * MINUTE)),
            (6, HOUR, Err(32 * MINUTE)),
            (7, HOUR, Err(HOUR)),
            (u32::MAX, HOUR, Err(HOUR)),
            (30, DAY.saturating_sub(SECOND), Err(HOUR)),
            (30, DAY, Err(3 * HOUR)),
            (3, DAY, Err(3 * HOUR)),
            (50, (3 * DAY).saturating_sub(SECOND), Err(3 * HOUR)),
            (50, 3 * DAY, Ok(false)),
        ] {
            assert_eq!(kind(&Outcome::TimedOut, attempt, age), expected, "{attempt} {age:?}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_time_but_not_for_ever() {
        for (outcome, attempt, expected) in [
            (answered(429, Some(600)), 1, 10 * MINUTE),
            (answered(503, Some(600)), 1, 10 * MINUTE),
            (answered(503, Some(1)), 3, 4 * MINUTE),
            (answered(503, Some(u64::MAX)), 1, 6 * HOUR),
            (answered(500, Some(600)), 1, MINUTE),
        ] {
            assert_eq!(kind(&outcome, attempt, Duration::ZERO), Err(expected), "{outcome:?}");
        }
    }

    #[test]
    fn only_a_receiver_that_does_not_answer_keeps_others_of_its_deliveries_waiting() {
        for (outcome, failures, expected) in [
            (Outcome::TimedOut, 1, MINUTE),
            (Outcome::Unreachable(String::new()), 3, 4 * MINUTE),
            (Outcome::TimedOut, 9, 15 * MINUTE),
            (answered(500, None), 0, Duration::ZERO),
            (answered(429, Some(30)), 0, 30 * SECOND),
            (answered(200, None), 0, Duration::ZERO),
        ] {
            assert_eq!(silence(&outcome, failures), expected, "{outcome:?}");
        }
    }
}
