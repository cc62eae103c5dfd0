//! Gives deliveries receipts: what came, from whom, and what became of it.

use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use contract::problem::ProblemCode;
use http::header::USER_AGENT;
use http::{HeaderMap, Method};
use time::OffsetDateTime;

use super::client_address::ClientAddress;
use super::limits::Limited;
use super::request_id;
use crate::domain::receipt::{Counts, Kind, Receipt, Verdict};
use crate::receipts::{Receipts, draft};

/// The longest text that is kept of a header.
const MAX_TEXT: usize = 100;

/// The header by which an enrolled agent says who it is.
const AGENT: &str = "x-reflector-agent";

/// Which requests to a route get a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    /// All of them: they bring something.
    All,
    /// Those that are refused: the others are steps on a way, or come every few seconds.
    Refused,
    None,
}

/// What there is to know of a request before it is handled.
struct Arrival {
    route: String,
    agent: Option<String>,
    address: Option<String>,
    user_agent: Option<String>,
    received_at: OffsetDateTime,
    begun: Instant,
}

/// Handles the request to `route` with `next`, and takes a receipt of a delivery when it is answered.
pub(super) async fn watch<F: Future<Output = Response>>(
    receipts: &Receipts,
    route: &str,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let interest = interest(request.method(), route);
    if interest == Interest::None {
        return next(request).await;
    }
    let arrival = Arrival::of(&request, route);
    let (response, rooms) = draft::watch(next(request)).await;
    if interest == Interest::All || response.status().as_u16() >= 400 {
        arrival.note(receipts, &response, rooms);
    }
    response
}

/// What is wanted of requests to `route`.
fn interest(method: &Method, route: &str) -> Interest {
    match route {
        "/v1/jitsi/events" | "/v1/jibri/recording-complete" | "/v1/whereby" | "/v1/recordings/uploads"
            if method == Method::POST =>
        {
            Interest::All
        }
        "/v1/agents/heartbeat" => Interest::Refused,
        _ if route.starts_with("/v1/recordings/uploads/") => Interest::Refused,
        _ => Interest::None,
    }
}

impl Arrival {
    fn of(request: &Request, route: &str) -> Self {
        let text = |name| text(request.headers(), name);
        let address = request.extensions().get().map(|ClientAddress(address)| address.to_string());
        Self {
            route: format!("{} {route}", request.method()),
            agent: text(AGENT),
            address,
            user_agent: text(USER_AGENT.as_str()),
            received_at: OffsetDateTime::now_utc(),
            begun: Instant::now(),
        }
    }

    /// One receipt for each room that the request spoke of, or one without a room.
    fn note(self, receipts: &Receipts, response: &Response, mut rooms: Vec<(Option<String>, Counts)>) {
        if rooms.is_empty() {
            rooms.push((None, Counts::default()));
        }
        let status = response.status().as_u16();
        let is_limited = response.extensions().get::<Limited>().is_some();
        let refusal = response.extensions().get::<ProblemCode>().copied();
        let (duration, request_id) = (self.begun.elapsed(), request_id::current().unwrap_or_default());
        for (room, counts) in rooms {
            let kind = Kind {
                route: self.route.clone(),
                status,
                verdict: if is_limited { Verdict::Limited } else { Verdict::of(status, counts) },
                code: refusal.or(counts.code),
                room,
                agent: self.agent.clone(),
                address: self.address.clone(),
                user_agent: self.user_agent.clone(),
            };
            let request_id = request_id.clone();
            receipts.note(Receipt { kind, received_at: self.received_at, request_id, duration, counts });
        }
    }
}

/// A header's text, if it is visible ASCII, and not longer than is kept.
fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?.trim();
    (!text.is_empty()).then(|| text.chars().take(MAX_TEXT).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brings_something_gets_a_receipt_and_the_rest_when_it_is_refused() {
        for (method, route, expected) in [
            (Method::POST, "/v1/jitsi/events", Interest::All),
            (Method::GET, "/v1/jitsi/events", Interest::None),
            (Method::POST, "/v1/jibri/recording-complete", Interest::All),
            (Method::POST, "/v1/whereby", Interest::All),
            (Method::GET, "/v1/whereby/health", Interest::None),
            (Method::POST, "/v1/recordings/uploads", Interest::All),
            (Method::GET, "/v1/recordings/uploads/{upload_id}/parts", Interest::Refused),
            (Method::POST, "/v1/agents/heartbeat", Interest::Refused),
            (Method::POST, "/v1/rooms", Interest::None),
            (Method::GET, "/ops/overview", Interest::None),
            (Method::GET, "", Interest::None),
        ] {
            assert_eq!(interest(&method, route), expected, "{method} {route}");
        }
    }
}
