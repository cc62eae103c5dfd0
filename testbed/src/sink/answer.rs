//! How the sink answers one delivery: a function of the request, the levers and what arrived before.

use std::borrow::Cow;
use std::time::Instant;

use contract::batch::{self, BatchReply, EventReply, EventResult, EventStatus};
use contract::heartbeat;
use contract::problem::{Problem, ProblemCode};
use contract::upload::{KeepReason, UploadReply};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::faults::{Faults, Refusal, RefusalBody};
use super::ledger::Ledger;

/// The path that takes events.
pub(super) const EVENTS_PATH: &str = "/v1/jitsi/events";
/// The path that takes the notice of a finished recording.
pub(super) const RECORDING_PATH: &str = "/v1/jibri/recording-complete";
/// The path that decides about uploads.
const UPLOADS_PATH: &str = contract::upload::PATH;

/// The parts of a request that decide its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Delivery<'a> {
    /// The path of the URL.
    pub(super) path: &'a str,
    /// The `Content-Type` header, empty when absent.
    pub(super) content_type: &'a str,
    /// The raw body.
    pub(super) body: &'a [u8],
}

/// An answer, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The HTTP status.
    pub(super) status: u16,
    /// The `Content-Type` header.
    pub(super) content_type: &'static str,
    /// The `Retry-After` header, in seconds.
    pub(super) retry_after_seconds: Option<u32>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// The connection is closed instead of answering.
    pub(super) lost: bool,
}

impl Answer {
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("answers have string keys only");
        Self::raw(status, batch::JSON, body)
    }

    fn raw(status: u16, content_type: &'static str, body: Vec<u8>) -> Self {
        Self { status, content_type, retry_after_seconds: None, body, lost: false }
    }

    /// The refusal that our API writes for `code`.
    pub(super) fn problem(code: ProblemCode, status: u16, detail: &str) -> Self {
        let mut problem = Problem::new(code, detail);
        problem.status = status;
        let body = serde_json::to_vec(&problem).expect("a problem serialises");
        Self::raw(status, "application/problem+json", body)
    }
}

impl From<&Refusal> for Answer {
    fn from(refusal: &Refusal) -> Self {
        let mut answer = match refusal.body {
            RefusalBody::Problem(code) => Self::problem(code, refusal.status, "the lever refuse_all is set"),
            RefusalBody::ProxyPage => {
                let page = format!("<html><body><h1>{}</h1></body></html>", refusal.status);
                Self::raw(refusal.status, "text/html", page.into_bytes())
            }
        };
        answer.retry_after_seconds = refusal.retry_after_seconds;
        answer
    }
}

/// The members of an event that the sink looks at.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default)]
    event: Cow<'a, str>,
    #[serde(borrow, alias = "room_name")]
    room: Cow<'a, str>,
}

/// Decides the answer and writes into `ledger` what was taken in.
pub(super) fn answer(delivery: Delivery<'_>, faults: &Faults, ledger: &mut Ledger, now: Instant) -> Answer {
    if delivery.path == heartbeat::PATH {
        // Not a delivery: an API that knows no heartbeats, so that the agent sends no more.
        return Answer::problem(ProblemCode::NotFound, 404, "the sink takes deliveries alone");
    }
    ledger.count_request();
    if let Some(refusal) = &faults.refuse_all {
        return refusal.into();
    }
    if let Some(id) = breaking(delivery.body, faults) {
        ledger.refuse(id);
        return Answer::problem(ProblemCode::Internal, 500, "the lever breaking is set");
    }
    let mut answer = match (delivery.path, media_type(delivery.content_type)) {
        (EVENTS_PATH, batch::JSON) => single(delivery.body, faults, ledger, now),
        (EVENTS_PATH, batch::NDJSON) if !faults.refuse_ndjson => several(delivery.body, faults, ledger, now),
        (RECORDING_PATH, batch::JSON) => recording(delivery.body, faults, ledger, now),
        (UPLOADS_PATH, batch::JSON) => return keep(),
        (EVENTS_PATH | RECORDING_PATH | UPLOADS_PATH, other) => {
            return Answer::problem(
                ProblemCode::MediaTypeUnsupported,
                415,
                &format!("content type {other:?} is not taken here"),
            );
        }
        (path, _) => return Answer::problem(ProblemCode::NotFound, 404, &format!("no such path: {path}")),
    };
    if answer.status == 200 {
        ledger.count_accepted_request();
        let lost = faults.lost_acknowledgements.is_some_and(|lever| lever.loses(ledger.requests()));
        answer.lost = lost;
    }
    answer
}

/// The first of the breaking events that a body carries.
fn breaking<'a>(body: &[u8], faults: &'a Faults) -> Option<&'a str> {
    let carries = |id: &str| body.windows(id.len()).any(|bytes| bytes == id.as_bytes());
    faults.breaking.iter().map(String::as_str).find(|id| carries(id))
}

/// The content type without its parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

fn single(body: &[u8], faults: &Faults, ledger: &mut Ledger, now: Instant) -> Answer {
    if let Some(answer) = test(body) {
        return answer;
    }
    let head = match parse(body) {
        Ok(head) => head,
        Err(answer) => return answer,
    };
    if let Some(answer) = poisoned(&head, faults, ledger) {
        return answer;
    }
    ledger.accept(&head.id, &head.room, now);
    let (event, room) = (head.event.into_owned(), head.room.into_owned());
    Answer::json(200, &EventReply { status: "ok".to_owned(), event, room })
}

/// The answer to a test event. It changes no meeting and needs no id, so it is no arrival.
fn test(body: &[u8]) -> Option<Answer> {
    #[derive(Deserialize)]
    struct Test {
        event: String,
        room: String,
    }
    let Test { event, room } = serde_json::from_slice(body).ok()?;
    (event == "test").then(|| Answer::json(200, &EventReply { status: "ok".to_owned(), event, room }))
}

fn recording(body: &[u8], faults: &Faults, ledger: &mut Ledger, now: Instant) -> Answer {
    #[derive(Deserialize)]
    struct File<'a> {
        #[serde(borrow)]
        recording_file: Cow<'a, str>,
    }
    let (head, file) = match (parse(body), serde_json::from_slice::<File<'_>>(body)) {
        (Ok(head), Ok(file)) => (head, file.recording_file),
        (Err(answer), _) => return answer,
        (_, Err(error)) => return Answer::problem(ProblemCode::EventInvalid, 422, &error.to_string()),
    };
    if let Some(answer) = poisoned(&head, faults, ledger) {
        return answer;
    }
    ledger.accept(&head.id, &head.room, now);
    let body = json!({"status": "ok", "room_name": head.room, "recording_file": file, "message": "taken in"});
    Answer::json(200, &body)
}

/// The sink has no object storage.
fn keep() -> Answer {
    let message = "the sink stores no files".to_owned();
    Answer::json(200, &UploadReply::Keep { reason: KeepReason::StorageNotConfigured, message })
}

/// One result per line, in the same order. A batch beyond the contract's limits is refused whole.
fn several(body: &[u8], faults: &Faults, ledger: &mut Ledger, now: Instant) -> Answer {
    let lines: Vec<&[u8]> = body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()).collect();
    if lines.len() > batch::MAX_EVENTS || body.len() > batch::MAX_BYTES {
        return Answer::problem(ProblemCode::BodyTooLarge, 413, "the batch is beyond the contract's limits");
    }
    let results = lines.into_iter().map(|line| result_of(line, faults, ledger, now)).collect();
    Answer::json(200, &BatchReply { results })
}

fn result_of(line: &[u8], faults: &Faults, ledger: &mut Ledger, now: Instant) -> EventResult {
    let (id, status, code) = match serde_json::from_slice::<Head<'_>>(line) {
        Err(_) => (String::new(), EventStatus::Rejected, Some(ProblemCode::EventInvalid)),
        Ok(head) => {
            let (status, code) = match faults.poison.get(head.id.as_ref()) {
                Some(&code) => {
                    ledger.refuse(&head.id);
                    (EventStatus::Rejected, Some(code))
                }
                None if ledger.accept(&head.id, &head.room, now) => (EventStatus::Stored, None),
                None => (EventStatus::Duplicate, None),
            };
            (head.id.into_owned(), status, code)
        }
    };
    EventResult { id, status, code, detail: None }
}

fn parse(body: &[u8]) -> Result<Head<'_>, Answer> {
    serde_json::from_slice(body)
        .map_err(|error| Answer::problem(ProblemCode::EventInvalid, 422, &error.to_string()))
}

fn poisoned(head: &Head<'_>, faults: &Faults, ledger: &mut Ledger) -> Option<Answer> {
    let &code = faults.poison.get(head.id.as_ref())?;
    ledger.refuse(&head.id);
    let status = faults.poison_status.unwrap_or(code.status());
    Some(Answer::problem(code, status, &format!("event {} is refused by a lever", head.id)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::faults::LostAcknowledgements;

    fn line(id: &str) -> String {
        json!({"id": id, "event": "muc-occupant-joined", "room": "r", "data": {}}).to_string()
    }

    fn ask(content_type: &str, body: &str, faults: &Faults, ledger: &mut Ledger) -> Answer {
        let delivery = Delivery { path: EVENTS_PATH, content_type, body: body.as_bytes() };
        answer(delivery, faults, ledger, Instant::now())
    }

    fn body_of(answer: &Answer) -> serde_json::Value {
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn a_lone_event_is_taken_in_and_named_in_the_answer() {
        let mut ledger = Ledger::default();
        let answer = ask("application/json; charset=utf-8", &line("evt_1"), &Faults::default(), &mut ledger);
        assert_eq!(body_of(&answer), json!({"status": "ok", "event": "muc-occupant-joined", "room": "r"}));
        assert_eq!(ledger.order("r"), ["evt_1".into()]);
    }

    #[test]
    fn a_test_event_is_acknowledged_and_is_no_arrival() {
        let mut ledger = Ledger::default();
        let body = r#"{"event":"test","room":"test","data":{}}"#;
        let answer = ask("application/json", body, &Faults::default(), &mut ledger);
        assert_eq!(body_of(&answer), json!({"status": "ok", "event": "test", "room": "test"}));
        assert_eq!((answer.status, ledger.distinct()), (200, 0));
    }

    #[test]
    fn a_batch_has_one_result_per_line_in_the_same_order() {
        let mut ledger = Ledger::default();
        let faults =
            Faults { poison: [("evt_2".to_owned(), ProblemCode::EventInvalid)].into(), ..Faults::default() };
        let body = [line("evt_1"), line("evt_2"), line("evt_1"), "{".to_owned()].join("\n");
        let answer = ask("application/x-ndjson", &body, &faults, &mut ledger);
        let expected = json!({"results": [
            {"id": "evt_1", "status": "stored"},
            {"id": "evt_2", "status": "rejected", "code": "event_invalid"},
            {"id": "evt_1", "status": "duplicate"},
            {"id": "", "status": "rejected", "code": "event_invalid"},
        ]});
        assert_eq!(body_of(&answer), expected);
        assert_eq!((ledger.distinct(), ledger.duplicates(), ledger.refusals_of("evt_2")), (1, 1, 1));
    }

    #[test]
    fn every_lever_changes_the_answer_and_what_arrives() {
        let poison = || [("evt_1".to_owned(), ProblemCode::EventInvalid)].into();
        let all = |refusal| Faults { refuse_all: Some(refusal), ..Faults::default() };
        let cases = [
            (all(Refusal::problem(ProblemCode::Unavailable)), "application/json", 503, "problem+json", 0),
            (all(Refusal::proxy_page(422)), "application/json", 422, "html", 0),
            (Faults { poison: poison(), ..Faults::default() }, "application/json", 422, "problem+json", 0),
            (
                Faults { poison: poison(), poison_status: Some(400), ..Faults::default() },
                "application/json",
                400,
                "problem+json",
                0,
            ),
            (
                Faults { refuse_ndjson: true, ..Faults::default() },
                "application/x-ndjson",
                415,
                "problem+json",
                0,
            ),
            (Faults { refuse_ndjson: true, ..Faults::default() }, "application/json", 200, "json", 1),
            (
                Faults { breaking: vec!["evt_1".into()], ..Faults::default() },
                "application/json",
                500,
                "problem+json",
                0,
            ),
            (Faults::default(), "text/plain", 415, "problem+json", 0),
        ];
        for (faults, content_type, status, answer_type, arrived) in cases {
            let mut ledger = Ledger::default();
            let answer = ask(content_type, &line("evt_1"), &faults, &mut ledger);
            assert_eq!((answer.status, ledger.distinct()), (status, arrived), "{faults:?}");
            assert!(answer.content_type.ends_with(answer_type), "{faults:?} gave {}", answer.content_type);
        }
    }

    #[test]
    fn an_event_whose_acknowledgement_is_lost_has_arrived() {
        let mut ledger = Ledger::default();
        let lost_acknowledgements = Some(LostAcknowledgements { percent: 100, seed: 1 });
        let faults = Faults { lost_acknowledgements, ..Faults::default() };
        assert!(ask("application/json", &line("evt_1"), &faults, &mut ledger).lost);
        assert_eq!(ledger.distinct(), 1);
    }

    #[test]
    fn a_batch_beyond_the_limit_is_refused_whole() {
        let mut ledger = Ledger::default();
        let body: Vec<String> = (0..=batch::MAX_EVENTS).map(|n| line(&format!("evt_{n}"))).collect();
        let answer = ask("application/x-ndjson", &body.join("\n"), &Faults::default(), &mut ledger);
        assert_eq!((answer.status, ledger.distinct()), (413, 0));
    }
}
