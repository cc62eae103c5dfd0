//! `reflector-api`: receives what Jitsi hosts report about meetings, keeps it, and serves it.
//!
//! A delivery's way through this crate, which is also the order in which to read it:
//!
//! 1. [`cli`] reads the command line; [`config`] the environment; [`app`] puts the parts together in a [`state`] and runs
//!    them.
//! 2. [`http`] takes the request in; [`auth`] checks its signature (deliveries) or bearer token (people);
//!    [`enrolment`] knows the secrets of agents that have one of their own.
//! 3. [`ingest`] gathers the events of concurrent requests and commits them together; a request is answered after its
//!    commit.
//! 4. [`domain`] decides, without SQL or HTTP: what an event says about a participant or a recording, and what the
//!    sum of all events means.
//! 5. [`db`] holds every SQL statement, and the Postgres that is started when none is configured.
//! 6. [`uploads`] gets recording files into the object [`storage`], which agents send them to.
//! 7. [`jitsi`] makes the addresses and tokens that lead people into a meeting.
//!    [`whereby`] makes rooms there, and takes in what is told of them.
//! 8. [`jobs`] do what has to be done from time to time, once however many replicas there are: [`lifecycle`] begins and ends
//!    meetings.
//! 9. [`webhooks`] tell rooms and the pipeline of it.
//! 10. [`meters`], [`receipts`] and [`traces`] tell operators; [`supervision`] tells the service manager.
//!
//! Dependencies point one way: `cli → app → http → jobs → {state, lifecycle, recordings} → {db, ingest, uploads → storage, jitsi, whereby, webhooks,
//! auth} → domain → contract`.

pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod db;
pub mod domain;
pub mod enrolment;
pub mod http;
pub mod ingest;
pub mod jitsi;
pub mod jobs;
pub mod lifecycle;
pub mod meters;
pub mod queue;
pub mod receipts;
pub mod recordings;
pub mod state;
mod stopping;
pub mod storage;
pub mod supervision;
pub mod token_crypto;
pub mod traces;
pub mod uploads;
pub mod wakes;
pub mod webhooks;
pub mod whereby;
