//! Signs of life of the loops that must turn for the service to do its work.
//!
//! A loop says when it turns, or that it rests because there is nothing to do. One that does neither for longer than its limit is
//! stuck: a deadlock, a thread that blocks, a task that has died. A limit is longer than everything that the loop waits for with a
//! limit of its own, foremost the database: one that is away is no reason to start the service again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Stands for a time of the last turn while a loop rests.
const RESTING: u64 = u64::MAX;

/// The loops of this process. A clone is another handle on the same.
#[derive(Debug, Clone)]
pub struct Pulses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begun: Instant,
    loops: Mutex<Vec<Arc<Turning>>>,
}

/// One loop.
#[derive(Debug)]
struct Turning {
    name: &'static str,
    limit: Duration,
    /// Milliseconds since the beginning.
    turned: AtomicU64,
}

/// How a loop says that it turns.
#[derive(Debug, Clone)]
pub struct Pulse {
    begun: Instant,
    turning: Arc<Turning>,
}

/// Work that is under way: when this is dropped, the loop rests.
pub struct Working<'a>(&'a Pulse);

/// A loop that does not turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// Its name.
    pub name: &'static str,
    /// For how long it has not turned.
    pub since: Duration,
}

impl Default for Pulses {
    fn default() -> Self {
        Self(Arc::new(Inner { begun: Instant::now(), loops: Mutex::default() }))
    }
}

impl Pulses {
    /// A loop more, which turns at least every `limit` unless it rests. It rests until it says otherwise.
    pub fn pulse(&self, name: &'static str, limit: Duration) -> Pulse {
        let turning = Arc::new(Turning { name, limit, turned: AtomicU64::new(RESTING) });
        self.0.loops.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&turning));
        Pulse { begun: self.0.begun, turning }
    }

    /// The loops that do not turn.
    pub fn stuck(&self) -> Vec<Stuck> {
        let now = milliseconds(self.0.begun.elapsed());
        let loops = self.0.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops
            .iter()
            .filter_map(|turning| {
                let since = silent_for(turning.turned.load(Ordering::Relaxed), now, turning.limit)?;
                Some(Stuck { name: turning.name, since })
            })
            .collect()
    }
}

impl Pulse {
    /// The loop turns.
    pub fn beat(&self) {
        self.turning.turned.store(milliseconds(self.begun.elapsed()), Ordering::Relaxed);
    }

    /// The loop has nothing to do.
    pub fn rest(&self) {
        self.turning.turned.store(RESTING, Ordering::Relaxed);
    }

    /// The loop turns until it is done.
    pub fn work(&self) -> Working<'_> {
        self.beat();
        Working(self)
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.rest();
    }
}

/// For how long a loop that turned last at `turned` has been silent at `now`, if that is longer than its limit.
fn silent_for(turned: u64, now: u64, limit: Duration) -> Option<Duration> {
    let silent = Duration::from_millis(now.saturating_sub(turned));
    (silent > limit).then_some(silent)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(RESTING - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_mins(1);

    #[test]
    fn a_loop_is_stuck_when_it_neither_turns_nor_rests_for_longer_than_its_limit() {
        for (turned, now, expected) in [
            (0, 60_000, None),
            (0, 60_001, Some(60_001)),
            (30_000, 90_001, Some(60_001)),
            (90_000, 30_000, None),
            (RESTING, 1 << 40, None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(silent_for(turned, now, LIMIT), expected, "{turned} {now}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_stuck_is_named_and_what_was_done_or_turns_again_is_not() {
        let pulses = Pulses::default();
        let [resting, turning, done] = ["resting", "turning", "done"].map(|name| pulses.pulse(name, LIMIT));
        turning.beat();
        drop(done.work());
        tokio::time::advance(LIMIT * 2).await;
        assert_eq!(pulses.stuck(), [Stuck { name: "turning", since: LIMIT * 2 }]);
        turning.beat();
        assert_eq!(pulses.stuck(), []);
        let _working = resting.work();
        tokio::time::advance(LIMIT * 2).await;
        assert_eq!(pulses.stuck().iter().map(|stuck| stuck.name).collect::<Vec<_>>(), ["resting", "turning"]);
    }
}
