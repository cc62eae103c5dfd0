//! Says once that requests are being refused for want of the database, and once that this is over, however many requests there
//! were in between.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::response::Response;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::db::{self, connect};

/// How often it is looked whether an outage is over.
const LOOK: Duration = Duration::from_secs(2);

/// On an answer: why it is a refusal that another time would not be. Taken off before the answer leaves.
#[derive(Debug, Clone)]
pub(super) struct Reason(pub(super) String);

/// Whether there is an outage, and for how many requests.
pub(super) struct Outage {
    db: PgPool,
    course: Mutex<Course>,
}

/// What has been seen of an outage.
#[derive(Debug, Default, PartialEq, Eq)]
struct Course {
    refused: u64,
    refused_before_look: u64,
}

impl Course {
    /// Notes a refused request; true for the first of an outage.
    fn refuse(&mut self) -> bool {
        self.refused += 1;
        self.refused == 1
    }

    /// The number of refused requests, once the database answers and nobody has been refused since the last look.
    fn end(&mut self, is_answering: bool) -> Option<u64> {
        if is_answering && self.refused == self.refused_before_look {
            return Some(std::mem::take(self).refused);
        }
        self.refused_before_look = self.refused;
        None
    }
}

impl Outage {
    pub(super) fn new(db: PgPool) -> Arc<Self> {
        Arc::new(Self { db, course: Mutex::default() })
    }

    fn note(self: &Arc<Self>, reason: String) {
        let is_first = self.course.lock().unwrap_or_else(PoisonError::into_inner).refuse();
        if is_first {
            tokio::spawn(Arc::clone(self).until_over(reason));
        }
    }

    async fn until_over(self: Arc<Self>, reason: String) {
        let begun = Instant::now();
        // A request that waited for a connection in vain does not know why there was none.
        let reason = connect::probe(&self.db.connect_options()).await.err().map_or(reason, |e| e.to_string());
        tracing::warn!("requests are being answered with 503: {reason}");
        while !self.db.is_closed() {
            sleep(LOOK).await;
            let is_answering = db::ping(&self.db).await.is_ok();
            let ended = self.course.lock().unwrap_or_else(PoisonError::into_inner).end(is_answering);
            if let Some(refused) = ended {
                let seconds = begun.elapsed().as_secs();
                tracing::info!(
                    "requests are being served again; {refused} were answered with 503 in {seconds} s"
                );
                return;
            }
        }
    }
}

/// Notices answers that tell of an outage.
pub(super) async fn watch(outage: &Arc<Outage>, answer: impl Future<Output = Response>) -> Response {
    let mut response = answer.await;
    if let Some(Reason(reason)) = response.extensions_mut().remove::<Reason>() {
        outage.note(reason);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_with_one_refusal_and_ends_when_a_look_finds_no_other() {
        let mut course = Course::default();
        assert!(course.refuse() && !course.refuse());
        assert_eq!(course.end(true), None, "somebody was refused since the last look");
        assert_eq!(course.end(false), None, "the database is silent");
        assert!(!course.refuse());
        assert_eq!(course.end(true), None);
        assert_eq!(course.end(true), Some(3));
        assert_eq!(course, Course::default());
        assert!(course.refuse());
    }
}
