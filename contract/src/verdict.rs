//! What a sender does about an answer: a pure function of status, code and `Retry-After`.
//!
//! | answer | verdict |
//! |---|---|
//! | 2xx | [`Verdict::Settle`]; a batch's results decide one by one ([`of_result`]) |
//! | 413 to several events | [`Verdict::Halve`] |
//! | 415 to a batch | [`Verdict::Singly`] |
//! | 429 or 503 with `Retry-After` | [`Verdict::Retry`], not sooner than it says, not counted as a failure |
//! | no answer, 408, 429, 5xx | [`Verdict::Retry`] with backoff |
//! | 401 | [`Verdict::Retry`] with [`CREDENTIALS_FLOOR`]: a person must look at secret or clock |
//! | 404 with our code `meeting_not_found` | [`Verdict::AwaitMeeting`] |
//! | a refusal with one of our codes that time will not cure | [`Verdict::Park`] |
//! | anything else (a proxy, another release) | [`Verdict::Retry`] with [`UNKNOWN_FLOOR`] |
//!
//! Nothing is ever dropped: deleting or parking needs proof that *our* API said so. A middlebox or a bad release also
//! answers 400, and must not cost data.

use std::time::Duration;

use crate::batch::{EventResult, EventStatus};
use crate::problem::ProblemCode;

/// How long an event waits at least before it is tried again after a refused signature.
pub const CREDENTIALS_FLOOR: Duration = Duration::from_secs(30);

/// How long an event waits at least before it is tried again after a refusal that our API did not write.
pub const UNKNOWN_FLOOR: Duration = Duration::from_mins(1);

/// How long after it was queued an event may wait for its meeting to appear.
pub const MEETING_PATIENCE: Duration = Duration::from_hours(1);

/// The longest `Retry-After` that is believed.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(1);

/// What came back for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No answer: refused, reset, timed out, or cut in the middle.
    Unreachable,
    /// An answer.
    Answered {
        /// The HTTP status.
        status: u16,
        /// The body's code, if our API wrote the body.
        code: Option<ProblemCode>,
        /// The `Retry-After` header, as a duration.
        retry_after: Option<Duration>,
    },
}

/// What the sender does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The API confirmed that it holds the event.
    Settle,
    /// Too large: send the halves.
    Halve,
    /// The server takes no batches: send one event per request.
    Singly,
    /// Keep everything and try again.
    Retry {
        /// Not sooner than this, whatever the backoff says.
        floor: Duration,
        /// Whether the attempt makes the next backoff longer.
        counts: bool,
    },
    /// The API knows no meeting for this room yet. Retry slowly; park once the event is older than [`MEETING_PATIENCE`].
    AwaitMeeting,
    /// Refused for a reason that time will not cure. Keep the bytes, stop retrying, tell an operator.
    Park(ProblemCode),
}

/// The plain retry: as soon as the backoff allows.
const BACK_OFF: Verdict = Verdict::Retry { floor: Duration::ZERO, counts: true };

/// Decides about the answer to a request with `events` events.
pub fn of_answer(outcome: Outcome, events: usize) -> Verdict {
    let Outcome::Answered { status, code, retry_after } = outcome else { return BACK_OFF };
    match (status, retry_after) {
        (200..=299, _) => Verdict::Settle,
        (429 | 503, Some(wait)) => Verdict::Retry { floor: wait.min(LONGEST_RETRY_AFTER), counts: false },
        (408 | 429 | 500..=599, _) => BACK_OFF,
        (413, _) if events > 1 => Verdict::Halve,
        (415, _) if events > 1 => Verdict::Singly,
        (401, _) => Verdict::Retry { floor: CREDENTIALS_FLOOR, counts: true },
        // A refusal of a batch as a whole says nothing about its events: alone, each gets its own answer.
        (_, _) if events > 1 && code.is_some() => Verdict::Halve,
        _ => code.map_or(Verdict::Retry { floor: UNKNOWN_FLOOR, counts: true }, of_refusal),
    }
}

/// Decides about one event of an answered batch.
pub fn of_result(result: &EventResult) -> Verdict {
    match (result.status, result.code) {
        (EventStatus::Stored | EventStatus::Duplicate, _) => Verdict::Settle,
        (EventStatus::Rejected, Some(code)) => of_refusal(code),
        (EventStatus::Rejected, None) => Verdict::Retry { floor: UNKNOWN_FLOOR, counts: true },
    }
}

/// Decides about a refusal that our API issued for one event.
fn of_refusal(code: ProblemCode) -> Verdict {
    match code {
        ProblemCode::MeetingNotFound => Verdict::AwaitMeeting,
        ProblemCode::JsonInvalid
        | ProblemCode::EventInvalid
        | ProblemCode::ValidationFailed
        | ProblemCode::BodyTooLarge => Verdict::Park(code),
        ProblemCode::SignatureInvalid | ProblemCode::TimestampInvalid => {
            Verdict::Retry { floor: CREDENTIALS_FLOOR, counts: true }
        }
        ProblemCode::Unavailable | ProblemCode::Internal | ProblemCode::RateLimited => BACK_OFF,
        // Not answers to a delivery: a wrong address, or a release that means something else by them.
        ProblemCode::RoomNotFound
        | ProblemCode::RoomNameTaken
        | ProblemCode::NotAuthenticated
        | ProblemCode::AuthenticationInvalid
        | ProblemCode::Forbidden
        | ProblemCode::NotFound
        | ProblemCode::MethodNotAllowed
        | ProblemCode::MediaTypeUnsupported
        | ProblemCode::PlatformNotConfigured
        | ProblemCode::PlatformUnavailable
        | ProblemCode::MeetingNotActive
        | ProblemCode::MeetingEnded
        | ProblemCode::ApiKeyNotFound
        | ProblemCode::CalendarNotConfigured
        | ProblemCode::RecordingNotFound
        | ProblemCode::RecordingNotStored
        | ProblemCode::RecordingWithheld
        | ProblemCode::RecordingDeleted
        | ProblemCode::UploadNotFound
        | ProblemCode::UploadIncomplete
        | ProblemCode::ChecksumMismatch
        | ProblemCode::UploadVerified
        | ProblemCode::StorageNotConfigured
        | ProblemCode::StorageUnavailable => Verdict::Retry { floor: UNKNOWN_FLOOR, counts: true },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn answer(status: u16, code: Option<ProblemCode>, retry_after: Option<u64>) -> Outcome {
        let retry_after = match retry_after {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => None,
        };
        Outcome::Answered { status, code, retry_after }
    }

    #[test]
    fn an_answer_maps_to_one_verdict() {
        use ProblemCode as Code;
        let credentials = Verdict::Retry { floor: CREDENTIALS_FLOOR, counts: true };
        let unknown = Verdict::Retry { floor: UNKNOWN_FLOOR, counts: true };
        let wait = |seconds| Verdict::Retry { floor: Duration::from_secs(seconds), counts: false };
        for (outcome, events, expected) in [
            (Outcome::Unreachable, 1, BACK_OFF),
            (answer(200, None, None), 1, Verdict::Settle),
            (answer(204, None, None), 9, Verdict::Settle),
            (answer(429, None, Some(7)), 1, wait(7)),
            (answer(503, Some(Code::Unavailable), Some(2)), 1, wait(2)),
            (answer(503, None, Some(1_000_000)), 1, wait(3600)),
            (answer(429, None, None), 1, BACK_OFF),
            (answer(408, None, None), 1, BACK_OFF),
            (answer(500, Some(Code::Internal), None), 1, BACK_OFF),
            (answer(502, None, None), 1, BACK_OFF),
            (answer(413, None, None), 2, Verdict::Halve),
            (answer(413, Some(Code::BodyTooLarge), None), 1, Verdict::Park(Code::BodyTooLarge)),
            (answer(413, None, None), 1, unknown),
            (answer(415, Some(Code::MediaTypeUnsupported), None), 2, Verdict::Singly),
            (answer(401, Some(Code::SignatureInvalid), None), 3, credentials),
            (answer(401, None, None), 1, credentials),
            (answer(404, Some(Code::MeetingNotFound), None), 1, Verdict::AwaitMeeting),
            (answer(404, None, None), 1, unknown),
            (answer(404, Some(Code::NotFound), None), 1, unknown),
            (answer(422, Some(Code::EventInvalid), None), 1, Verdict::Park(Code::EventInvalid)),
            (answer(422, Some(Code::EventInvalid), None), 2, Verdict::Halve),
            (answer(422, None, None), 1, unknown),
            (answer(422, None, None), 2, unknown),
            (answer(403, None, None), 1, unknown),
            (answer(302, None, None), 1, unknown),
        ] {
            assert_eq!(of_answer(outcome, events), expected, "{outcome:?} to {events}");
        }
    }

    #[test]
    fn a_result_maps_to_one_verdict() {
        use ProblemCode as Code;
        for (status, code, expected) in [
            (EventStatus::Stored, None, Verdict::Settle),
            (EventStatus::Duplicate, None, Verdict::Settle),
            (EventStatus::Rejected, Some(Code::EventInvalid), Verdict::Park(Code::EventInvalid)),
            (EventStatus::Rejected, Some(Code::MeetingNotFound), Verdict::AwaitMeeting),
            (EventStatus::Rejected, None, Verdict::Retry { floor: UNKNOWN_FLOOR, counts: true }),
        ] {
            let result = EventResult { id: String::new(), status, code, detail: None };
            assert_eq!(of_result(&result), expected, "{status:?} {code:?}");
        }
    }

    #[test]
    fn nothing_is_parked_without_a_code_of_our_api() {
        for status in 100..600 {
            let verdict = of_answer(answer(status, None, None), 1);
            assert!(!matches!(verdict, Verdict::Park(_)), "{status}: {verdict:?}");
        }
    }
}
