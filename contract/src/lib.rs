//! What `reflector-agent` and `reflector-api` agree on.
//!
//! A meeting's record travels as *events*. This crate holds everything both ends must decide the same way, as pure
//! functions of values: no sockets, no SQL, no clock, no runtime.
//!
//! In the order a delivery meets them:
//!
//! 1. [`id`]: an event's identity, made once where the event happened, kept by every hop.
//! 2. [`room`]: how the many spellings of a Jitsi room name become one.
//! 3. [`event`]: one event, as it stands in a spool line and in a request body.
//! 4. [`recording`]: the notice that a recording file is finished, which is an event with a body of its own.
//! 5. [`upload`]: how a recording's file gets into the object storage; [`heartbeat`]: the agent's sign of life.
//! 6. [`signature`]: the two signature schemes that every delivery carries.
//! 7. [`batch`]: the request with many events, and its answer, one result per event.
//! 8. [`problem`]: the closed list of reasons for which the API says no.
//! 9. [`verdict`]: what a sender does about each possible answer.
//!
//! [`enrolment_token`] is how an agent gets to know its API in the first place.
//!
//! `vectors/` holds golden signatures; both sides' tests read them.

pub mod batch;
pub mod enrolment_token;
pub mod event;
pub mod heartbeat;
pub mod id;
pub mod problem;
pub mod recording;
pub mod room;
pub mod signature;
pub mod upload;
mod utc;
pub mod verdict;
