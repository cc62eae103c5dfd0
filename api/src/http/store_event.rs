//! Stores a single event for a request that carries one.

use contract::event::Event;
use contract::problem::ProblemCode;

use super::problem::ApiError;
use super::{State, invalid_event};
use crate::ingest::{Outcome, StoreError};

/// Nothing was taken in.
const BUSY: &str = "Too many events wait for the database already; nothing of this request was stored. Send it again shortly.";

/// The connection may have broken after the commit.
const UNCONFIRMED: &str = "The database has not confirmed the commit, so it is not known whether anything of this request was \
     stored. Send it again as it is: an id is stored once.";

/// Returns once the event is committed; every way in which it was not stored is a refusal. `bytes` is the body's length.
pub async fn store(state: &State, event: Event, bytes: usize) -> Result<(), ApiError> {
    let outcomes = state.ingest.store(vec![event], bytes).await?;
    match outcomes.into_iter().next() {
        Some(Outcome::Stored | Outcome::Duplicate | Outcome::Acknowledged) => Ok(()),
        Some(Outcome::MeetingUnknown) => Err(ApiError::titled(ProblemCode::MeetingNotFound)),
        Some(Outcome::Refused(reason)) => Err(invalid_event::of_data(invalid_event::unstorable(&reason))),
        None => Err(ApiError::internal(&"an event got no outcome")),
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::unavailable(&error, BUSY),
            StoreError::Outage(_) => Self::unavailable(&error, UNCONFIRMED),
            StoreError::Failed(_) => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse as _;
    use http::header::RETRY_AFTER;
    use http_body_util::BodyExt as _;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_sender_is_told_what_is_known_of_its_events_and_nothing_of_the_database() {
        let broken = || "broken pipe at 10.0.0.7".to_owned();
        for (error, status, retries, detail) in [
            (StoreError::Busy, 503, true, BUSY),
            (StoreError::Outage(broken()), 503, true, UNCONFIRMED),
            (StoreError::Failed(broken()), 500, false, ProblemCode::Internal.title()),
        ] {
            let response = ApiError::from(error).into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), retries);
            let body = response.into_body().collect().await.unwrap().to_bytes();
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["detail"], detail);
        }
    }
}
