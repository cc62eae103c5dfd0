//! Send a delivery and read its answer.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use contract::batch::BatchReply;
use contract::problem::{Problem, ProblemCode, code_of_body};
use contract::verdict::Outcome;
use hyper::Request;
use hyper::header::{DATE, RETRY_AFTER};
use hyper::http::response::Parts;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::chain::Chain;
use crate::http::{self, Body, ConnectError, HttpError};

/// The longest explanation that is kept from an answer, in characters.
const MAX_NOTE: usize = 300;

/// Delivers to one API.
#[derive(Clone)]
pub struct Client {
    http: http::Client,
    timeout: Duration,
}

/// What came back, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// What a verdict needs to know.
    pub outcome: Outcome,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// For people: what the answer said, or what went wrong.
    pub note: String,
    /// The time that the answer's `Date` tells, in milliseconds since 1970; read where a signature was refused.
    pub server_time: Option<i64>,
    /// What a person should do about it, where there was no answer.
    pub next_step: Option<&'static str>,
    /// The results, if the answer was that of a batch.
    pub results: Option<BatchReply>,
    /// Whether a 2xx came with the words that our API uses. A captive portal's 200 is not a receipt.
    pub acknowledged: bool,
    /// Whether the certificate there is for another name, so that this is not the API's address.
    pub wrong_name: bool,
}

impl Client {
    /// A client whose requests may take `timeout` as a whole.
    pub fn new(http: http::Client, timeout: Duration) -> Self {
        Self { http, timeout }
    }

    /// Sends one request. Never fails: no answer is an outcome too.
    pub async fn send(&self, request: Request<Body>) -> Reply {
        let started = Instant::now();
        let answered = self.http.exchange(request, self.timeout).await;
        let took_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        match answered {
            Ok(answer) => read(&answer.head, &answer.body, took_ms),
            Err(error) => unreachable(&error, took_ms),
        }
    }
}

fn unreachable(error: &HttpError, took_ms: i64) -> Reply {
    Reply {
        outcome: Outcome::Unreachable,
        took_ms,
        note: Chain(error).to_string(),
        server_time: None,
        next_step: Some(error.next_step()),
        results: None,
        acknowledged: false,
        wrong_name: is_wrong_name(error),
    }
}

fn read(head: &Parts, body: &[u8], took_ms: i64) -> Reply {
    let status = head.status.as_u16();
    let answered = |code, retry_after| Outcome::Answered { status, code, retry_after };
    if head.status.is_success()
        && let Some(receipt) = receipt(body)
    {
        let results = if let Receipt::Batch(results) = receipt { Some(results) } else { None };
        return Reply {
            outcome: answered(None, None),
            took_ms,
            note: String::new(),
            server_time: None,
            next_step: None,
            results,
            acknowledged: true,
            wrong_name: false,
        };
    }
    let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(seconds);
    Reply {
        outcome: answered(code_of_body(body), retry_after),
        took_ms,
        note: explanation(status, body),
        server_time: if status == 401 { server_time(head) } else { None },
        next_step: None,
        results: None,
        acknowledged: false,
        wrong_name: false,
    }
}

/// The words with which our API confirms what it holds.
enum Receipt {
    Single,
    Batch(BatchReply),
}

fn receipt(body: &[u8]) -> Option<Receipt> {
    #[derive(serde::Deserialize)]
    struct Single<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
    }
    match serde_json::from_slice::<Single>(body) {
        Ok(single) => (single.status == "ok").then_some(Receipt::Single),
        Err(_) => serde_json::from_slice(body).ok().map(Receipt::Batch),
    }
}

/// `Retry-After` in its form with seconds; a date is rare and would rest on two clocks.
pub(crate) fn seconds(value: &str) -> Option<Duration> {
    value.trim().parse().ok().map(Duration::from_secs)
}

/// Whether the certificate there is for another name.
fn is_wrong_name(error: &HttpError) -> bool {
    matches!(error, HttpError::NoConnection(error) if matches!(**error, ConnectError::WrongName { .. }))
}

/// What the other side's clock says, in milliseconds since 1970, to the second.
fn server_time(head: &Parts) -> Option<i64> {
    let date = head.headers.get(DATE)?.to_str().ok()?;
    let time = OffsetDateTime::parse(date, &Rfc2822).ok()?;
    Some(time.unix_timestamp().saturating_mul(1000))
}

/// What an answer was, for the log: its text, which may quote what was sent, stays in the outbox as the `note`.
pub(crate) fn brief(outcome: Outcome, note: &str) -> String {
    match outcome {
        Outcome::Unreachable => note.to_owned(),
        Outcome::Answered { status, code: Some(code), .. } => format!("{status} {}", code.as_str()),
        Outcome::Answered { status, code: None, .. } => format!("{status}, not from a Reflector API"),
    }
}

/// What an answer says to people: our API's code and detail, or the beginning of whatever else it is.
pub(crate) fn explanation(status: u16, body: &[u8]) -> String {
    let text = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => {
            let detail = problem.detail.as_str().map_or_else(|| problem.detail.to_string(), str::to_owned);
            format!("{status} {}: {detail}", problem.code.as_str())
        }
        Err(_) if body.is_empty() => format!("{status} without a body"),
        Err(_) => format!("{status} not from a Reflector API: {}", String::from_utf8_lossy(body)),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_NOTE).collect()
}

/// What a person should do about an outcome that is no receipt. `unreached` is what the way to the API told about itself,
/// `is_named` whether the agent says which one it is.
pub(crate) fn next_step(outcome: Outcome, unreached: Option<&'static str>, is_named: bool) -> &'static str {
    match outcome {
        Outcome::Unreachable => unreached.unwrap_or("check `url` in [api]"),
        Outcome::Answered { code: Some(ProblemCode::TimestampInvalid), .. } => {
            "this host's clock or the API's is wrong: compare `date -u` on both, and turn on time synchronisation"
        }
        Outcome::Answered { status: 401, .. } if is_named => {
            "`reflector-api agents list` on the API's side says whether `agent-id` is enrolled and not revoked; if it is, the secret here is another one's"
        }
        Outcome::Answered { status: 401, .. } => {
            "the secret here is not the API's JITSI_WEBHOOK_SECRET: compare the two (`reflector-agent check` says where ours was found)"
        }
        Outcome::Answered { code: None, .. } => {
            "something other than a Reflector API answered: check `url` in [api], and whatever stands between, which may say that the API behind it is down"
        }
        Outcome::Answered { code: Some(ProblemCode::NotFound), .. } => {
            "there is no such path on that API: `url` in [api] is its address alone, without `/v1`"
        }
        Outcome::Answered { .. } => "the API has a problem of its own: look at its log and at …/health",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let (head, ()) = hyper::Response::builder().status(status).body(()).unwrap().into_parts();
        read(&head, body.as_bytes(), 1)
    }

    #[test]
    fn only_our_apis_words_acknowledge() {
        for (status, body, expected) in [
            (200, r#"{"status":"ok","event":"e","room":"r"}"#, true),
            (200, r#"{"results":[]}"#, true),
            (200, "<html>Please log in</html>", false),
            (200, "", false),
            (404, r#"{"status":"ok"}"#, false),
        ] {
            assert_eq!(reply(status, body).acknowledged, expected, "{status} {body}");
        }
    }

    #[test]
    fn an_explanation_is_short_and_on_one_line() {
        assert_eq!(reply(502, "<h1>\nBad</h1>").note, "502 not from a Reflector API: <h1> Bad</h1>");
        assert_eq!(reply(502, "").note, "502 without a body");
        assert!(reply(500, &"x".repeat(10_000)).note.len() <= MAX_NOTE);
        let problem = Problem::new(contract::problem::ProblemCode::MeetingNotFound, "Meeting not found");
        let body = serde_json::to_string(&problem).unwrap();
        assert_eq!(reply(404, &body).note, "404 meeting_not_found: Meeting not found");
    }

    #[test]
    fn a_refused_signature_comes_with_the_other_sides_time() {
        let dated = |status: u16| {
            let head =
                hyper::Response::builder().status(status).header(DATE, "Fri, 31 Dec 1999 23:59:59 GMT");
            read(&head.body(()).unwrap().into_parts().0, b"", 1).server_time
        };
        assert_eq!(dated(401), Some(946_684_799_000));
        assert_eq!(dated(422), None);
        assert_eq!(reply(401, "").server_time, None);
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        assert_eq!(seconds(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(seconds("Fri, 31 Dec 1999 23:59:59 GMT"), None);
    }
}
