//! Refusals of events that are not what the contract says.

use contract::event::EventError;
use contract::problem::ProblemCode;
use serde_json::{Value, json};

use super::problem::ApiError;
use super::request_id;
use super::validation::Invalid;

/// The code of the refusal.
pub fn code(error: &EventError) -> ProblemCode {
    match error {
        EventError::Json(_) => ProblemCode::JsonInvalid,
        EventError::TooLong(_) => ProblemCode::BodyTooLarge,
        _ => ProblemCode::EventInvalid,
    }
}

/// The refusal of a request whose body is one event, in the list form of validation errors.
pub fn refusal(error: &EventError, body: &[u8]) -> ApiError {
    let code = code(error);
    if code == ProblemCode::BodyTooLarge {
        return ApiError::new(code, error.to_string());
    }
    ApiError::new(code, json!([finding(error, body)]))
}

/// The refusal of an event whose `data` cannot be stored.
pub fn of_data(reason: String) -> ApiError {
    let loc = vec![json!("body"), json!("data")];
    let finding = Invalid { kind: "value_error", loc, msg: reason, input: Value::Null, ctx: None };
    ApiError::new(ProblemCode::EventInvalid, json!([finding]))
}

/// What a sender is told of an event that the database objects to, with `reason`, which is for the log only.
pub fn unstorable(reason: &str) -> String {
    tracing::info!(request.id = request_id::current(), "the database refuses an event: {reason}");
    "The event holds a value that cannot be stored".to_owned()
}

fn finding(error: &EventError, body: &[u8]) -> Invalid {
    let msg = error.to_string();
    let (kind, member) = match error {
        EventError::Json(error) => return Invalid::not_json(body, error),
        EventError::Array => return Invalid { msg, ..Invalid::not_an_object(Value::Null) },
        EventError::Shape(_) if msg.starts_with("missing field") => ("missing", quoted(&msg)),
        EventError::Shape(_) if msg.starts_with('`') => ("value_error", quoted(&msg)),
        EventError::Id(_) => ("value_error", Some("id")),
        EventError::Room(_) => ("value_error", Some("room")),
        EventError::Name => ("value_error", Some("event")),
        EventError::Timestamp(_) => ("datetime_parsing", Some("timestamp")),
        EventError::Nul => ("value_error", Some("data")),
        EventError::Shape(_) | EventError::TooLong(_) => ("value_error", None),
    };
    let loc = std::iter::once("body").chain(member).map(Value::from).collect();
    Invalid { kind, loc, msg, input: Value::Null, ctx: None }
}

/// The text between the first pair of back-quotes.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').nth(1)
}

#[cfg(test)]
mod tests {
    use contract::event::Event;

    use super::*;

    #[test]
    fn the_place_of_a_mistake_is_named() {
        for (body, code, kind, loc) in [
            ("nonsense", ProblemCode::JsonInvalid, "json_invalid", json!(["body", 1])),
            ("[]", ProblemCode::EventInvalid, "model_attributes_type", json!(["body"])),
            (r#"{"room":"r","timestamp":0}"#, ProblemCode::EventInvalid, "missing", json!(["body", "event"])),
            (
                r#"{"event":"e","room":"@","timestamp":0}"#,
                ProblemCode::EventInvalid,
                "value_error",
                json!(["body", "room"]),
            ),
            (
                r#"{"event":"e","room":"r","timestamp":"x"}"#,
                ProblemCode::EventInvalid,
                "datetime_parsing",
                json!(["body", "timestamp"]),
            ),
            (
                r#"{"event":"e","room":"r","timestamp":0,"data":[]}"#,
                ProblemCode::EventInvalid,
                "value_error",
                json!(["body", "data"]),
            ),
            (
                r#"{"event":1,"room":"r","timestamp":0}"#,
                ProblemCode::EventInvalid,
                "value_error",
                json!(["body"]),
            ),
        ] {
            let error = Event::parse(body.as_bytes()).unwrap_err();
            let finding = finding(&error, body.as_bytes());
            assert_eq!((super::code(&error), finding.kind, json!(finding.loc)), (code, kind, loc), "{body}");
        }
    }
}
