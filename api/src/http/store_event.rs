//! Stores a single event for a request that carries one.

use contract::event::Event;
use contract::problem::ProblemCode;

use super::problem::ApiError;
use super::{State, invalid_event};
use crate::ingest::{Outcome, StoreError};

/// Returns once the event is committed; every way in which it was not stored is a refusal. `bytes` is the body's length.
pub async fn store(state: &State, event: Event, bytes: usize) -> Result<(), ApiError> {
    let outcomes = state.ingest.store(vec![event], bytes).await?;
    match outcomes.into_iter().next() {
        Some(Outcome::Stored | Outcome::Duplicate | Outcome::Acknowledged) => Ok(()),
        Some(Outcome::MeetingUnknown) => Err(ApiError::titled(ProblemCode::MeetingNotFound)),
        Some(Outcome::Refused(reason)) => Err(invalid_event::of_data(reason)),
        None => Err(ApiError::internal(&"an event got no outcome")),
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy | StoreError::Outage(_) => Self::unavailable(&error),
            StoreError::Failed(_) => Self::internal(&error),
        }
    }
}
