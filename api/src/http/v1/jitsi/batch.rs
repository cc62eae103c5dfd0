//! A batch: one event per line, one result per line, in the same order.
//!
//! A line that is refused never takes its neighbours with it. An empty line gets a result, too, so that results and lines can be
//! counted off against each other; only the line break at the end of the body begins no line.

use bytes::Bytes;
use contract::batch::{BatchReply, EventResult, EventStatus, MAX_EVENTS};
use contract::event::{Event, Label};
use contract::problem::ProblemCode;

use crate::domain::acceptance::accept;
use crate::http::State;
use crate::http::invalid_event;
use crate::http::problem::ApiError;
use crate::ingest::Outcome;
use crate::receipts::draft;

/// Stores the events of a batch together.
pub(super) async fn store(state: &State, body: &Bytes) -> Result<BatchReply, ApiError> {
    let lines = lines(body)?;
    let parsed: Vec<Result<Event, EventResult>> = lines.iter().map(|line| parse(line)).collect();
    let ids: Vec<String> = parsed.iter().flatten().map(|event| event.id.as_str().to_owned()).collect();
    let mut refused = Vec::with_capacity(parsed.len());
    let mut events = Vec::with_capacity(parsed.len());
    for line in parsed {
        refused.push(line.map(|event| events.push(event)).err());
    }
    refused.iter().flatten().filter_map(|refusal: &EventResult| refusal.code).for_each(draft::reject);
    let outcomes =
        if events.is_empty() { Vec::new() } else { state.ingest.store(events, body.len()).await? };
    let mut stored = ids.into_iter().zip(outcomes).map(|(id, outcome)| result(id, outcome));
    let results = refused.into_iter().filter_map(|refusal| refusal.or_else(|| stored.next())).collect();
    Ok(BatchReply { results })
}

fn lines(body: &[u8]) -> Result<Vec<&[u8]>, ApiError> {
    let text = body.strip_suffix(b"\n").unwrap_or(body);
    if text.is_empty() {
        let detail = "The body holds no event; send one JSON object per line";
        return Err(ApiError::new(ProblemCode::JsonInvalid, detail));
    }
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
    if lines.len() > MAX_EVENTS {
        let detail = format!("A batch has at most {MAX_EVENTS} lines, this one has {}", lines.len());
        return Err(ApiError::new(ProblemCode::BodyTooLarge, detail));
    }
    Ok(lines)
}

fn parse(line: &[u8]) -> Result<Event, EventResult> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let event = Event::parse(line)
        .map_err(|error| rejected(id_of(line), invalid_event::code(&error), error.to_string()))?;
    let id = event.id.as_str().to_owned();
    accept(event).map_err(|reason| rejected(id, ProblemCode::EventInvalid, reason))
}

/// The id of a line that is no event, as far as it has one.
fn id_of(line: &[u8]) -> String {
    Label::parse(line).ok().and_then(|label| label.id).map(|id| id.as_str().to_owned()).unwrap_or_default()
}

fn result(id: String, outcome: Outcome) -> EventResult {
    match outcome {
        // A test that no meeting keeps is done with for its sender, which is what `stored` tells.
        Outcome::Stored | Outcome::Acknowledged => {
            EventResult { id, status: EventStatus::Stored, code: None, detail: None }
        }
        Outcome::Duplicate => EventResult { id, status: EventStatus::Duplicate, code: None, detail: None },
        Outcome::MeetingUnknown => {
            let code = ProblemCode::MeetingNotFound;
            rejected(id, code, code.title().to_owned())
        }
        Outcome::Refused(reason) => {
            rejected(id, ProblemCode::EventInvalid, invalid_event::unstorable(&reason))
        }
    }
}

fn rejected(id: String, code: ProblemCode, detail: String) -> EventResult {
    EventResult { id, status: EventStatus::Rejected, code: Some(code), detail: Some(detail) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_off_as_they_were_sent() {
        let many = "{}\n".repeat(MAX_EVENTS + 1);
        for (body, expected) in [
            ("a", Ok(1)),
            ("a\n", Ok(1)),
            ("a\nb", Ok(2)),
            ("a\n\nb\n", Ok(3)),
            ("\n\n", Ok(2)),
            ("", Err(ProblemCode::JsonInvalid)),
            ("\n", Err(ProblemCode::JsonInvalid)),
            (&many[..many.len() - 3], Ok(MAX_EVENTS)),
            (&many, Err(ProblemCode::BodyTooLarge)),
        ] {
            let result = lines(body.as_bytes()).map(|lines| lines.len()).map_err(|error| error.code());
            assert_eq!(result, expected, "{body:.20?}");
        }
    }

    #[test]
    fn a_refused_line_keeps_its_id_where_it_has_one() {
        for (line, id, code) in [
            (r#"{"id":"evt_1","event":"e","room":"r","timestamp":"x"}"#, "evt_1", ProblemCode::EventInvalid),
            (
                r#"{"id":"evt_2","event":"source-started","room":"r","timestamp":0}"#,
                "evt_2",
                ProblemCode::EventInvalid,
            ),
            ("nonsense", "", ProblemCode::JsonInvalid),
            ("", "", ProblemCode::JsonInvalid),
        ] {
            let refused = parse(line.as_bytes()).unwrap_err();
            assert_eq!((refused.id.as_str(), refused.code), (id, Some(code)), "{line}");
        }
    }
}
