//! Periodic work that runs once, however many replicas there are.
//!
//! Each job has a row in the database ([`crate::db::jobs`]) that says when it is due and who is at it. Every replica looks at every
//! row; one gets the lease and runs ([`runner`]). What a job does is decided by what it finds in the database when it runs, so a run
//! that is cut short, repeated or late does no harm.
//!
//! A new job is one function that does the work once, beside the code that it belongs to, and one line in [`list()`]. Work
//! that cannot wait for its period calls [`Wakes::wake`] after its commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::http::State;

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

/// Wakes jobs of this process before they are due.
#[derive(Debug, Clone, Default)]
pub struct Wakes(Arc<BTreeMap<&'static str, Notify>>);

impl Wakes {
    /// Wakes for jobs of these names.
    pub fn new(names: impl IntoIterator<Item = &'static str>) -> Self {
        Self(Arc::new(names.into_iter().map(|name| (name, Notify::new())).collect()))
    }

    /// Has the job run soon; it may be any replica that does it. A job that this process does not know is none of its concern.
    pub fn wake(&self, name: &str) {
        if let Some(notify) = self.0.get(name) {
            notify.notify_one();
        }
    }

    async fn woken(&self, name: &str) {
        match self.0.get(name) {
            Some(notify) => notify.notified().await,
            None => std::future::pending().await,
        }
    }
}
