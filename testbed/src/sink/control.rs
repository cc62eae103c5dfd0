//! The levers of a stand-alone sink, over HTTP on its own port.
//!
//! `GET /testbed/summary` tells what arrived; `PUT /testbed/faults` sets the levers (JSON of [`Faults`], `{}` for none).

use contract::problem::ProblemCode;
use hyper::Method;
use serde_json::json;

use super::State;
use super::answer::Answer;
use super::faults::Faults;

/// Paths that begin so are for the person at the levers, not for deliveries.
pub(super) const PREFIX: &str = "/testbed/";

pub(super) fn answer(method: &Method, path: &str, body: &[u8], state: &mut State) -> Answer {
    match (method, path) {
        (&Method::GET, "/testbed/summary") => {
            let ledger = &state.ledger;
            Answer::json(
                200,
                &json!({
                    "events": ledger.distinct(),
                    "duplicates": ledger.duplicates(),
                    "requests": ledger.requests(),
                    "accepted_requests": ledger.accepted_requests(),
                    "bad_signatures": ledger.bad_signatures(),
                    "faults": state.faults,
                }),
            )
        }
        (&Method::PUT, "/testbed/faults") => match serde_json::from_slice::<Faults>(body) {
            Ok(faults) => {
                state.faults = faults;
                Answer::json(200, &json!({"status": "ok"}))
            }
            Err(error) => Answer::problem(ProblemCode::ValidationFailed, 422, &error.to_string()),
        },
        _ => Answer::problem(ProblemCode::NotFound, 404, "GET /testbed/summary or PUT /testbed/faults"),
    }
}
