//! Periodic work that runs once, however many replicas there are.
//!
//! Each job has a row in the database ([`crate::db::jobs`]) that says when it is due and who is at it. Every replica looks at every
//! row; one gets the lease and runs ([`runner`]). What a job does is decided by what it finds in the database when it runs, so a run
//! that is cut short, repeated or late does no harm.
//!
//! A new job is one function that does the work once, beside the code that it belongs to, and one line in [`list()`]. Work
//! that cannot wait for its period calls [`Wakes::wake`](crate::wakes::Wakes::wake) after its commit.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::state::State;

mod list;
pub mod runner;

pub use list::{
    CLEAN_RECORDINGS, CLEAN_UPLOADS, CLEAN_WHEREBY, FORGET_WEBHOOKS, PRUNE_RECEIPTS, SCAN_BUCKETS, STRAYS,
    SWEEP_MEETINGS, list,
};

/// A piece of periodic work.
#[derive(Clone, Copy)]
pub struct Job {
    /// Its name in the database and in logs: the module that does it.
    pub name: &'static str,
    /// How long it takes from the beginning of one run to that of the next. A tenth more or less is left to chance.
    pub every: Duration,
    run: fn(State) -> BoxFuture<'static, anyhow::Result<Summary>>,
}

impl Job {
    /// A job that does `run`.
    pub fn new(
        name: &'static str,
        every: Duration,
        run: fn(State) -> BoxFuture<'static, anyhow::Result<Summary>>,
    ) -> Self {
        Self { name, every, run }
    }
}

/// What a run did, in words for the log; empty when there was nothing to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary(String);

impl Summary {
    /// Nothing was to be done.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Something was done: a clause such as `ended 3 meetings`.
    pub fn of(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}
