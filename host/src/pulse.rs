//! Pulses: by them the loops of a program show that they turn.
//!
//! A loop says when it sets to work, for how long it may sleep, or that it rests because there is nothing to do. One that does
//! none of this for too long is stuck: in a call that does not return, on a lock that nobody gives back, as a task that has
//! died. How long is too long is for the loop to say (its limit) or for whoever looks. A loop that waits for something that may
//! take any time waits in short sleeps, or has a limit that is longer than those of all that it waits for; so a database or
//! an API that is away is no reason to start the program again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Stands for the time of a loop that rests.
const RESTING: u64 = u64::MAX;

/// One loop's pulse; clones are the same pulse.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    name: &'static str,
    limit: Duration,
    /// Until when it need not be felt again, in milliseconds by the clock that nobody sets.
    due: AtomicU64,
}

/// The pulses of all loops; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pulses(Arc<Mutex<Vec<Pulse>>>);

/// Work that is under way: when this is dropped, the loop rests.
#[derive(Debug)]
pub struct Working<'a>(&'a Pulse);

/// A loop that does not turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    /// The loop.
    pub name: &'static str,
    /// For how long nothing has been felt of it.
    pub since: Duration,
}

impl Pulse {
    /// The pulse of a loop whose work takes `limit` at most in one step. It rests until it says otherwise.
    pub fn new(name: &'static str, limit: Duration) -> Self {
        Self(Arc::new(Beat { name, limit, due: AtomicU64::new(RESTING) }))
    }

    /// The loop turns: it begins a step of its work.
    pub fn beat(&self) {
        self.sleeps(Duration::ZERO);
    }

    /// The loop sleeps, for so long at most.
    pub fn sleeps(&self, at_most: Duration) {
        self.0.due.store(monotonic_ms().saturating_add(milliseconds(at_most)), Ordering::Relaxed);
    }

    /// The loop has nothing to do until another one gives it work.
    pub fn rest(&self) {
        self.0.due.store(RESTING, Ordering::Relaxed);
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

impl Pulses {
    /// A loop more, as [`Pulse::new`] makes it.
    pub fn pulse(&self, name: &'static str, limit: Duration) -> Pulse {
        let pulse = Pulse::new(name, limit);
        self.feel(pulse.clone());
        pulse
    }

    /// Feels this pulse, too, from now on.
    pub fn feel(&self, pulse: Pulse) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pulse);
    }

    /// The loops that are stuck now. Work may take as long as `patience`, or longer if the loop has said so.
    pub fn stuck(&self, patience: Duration) -> Vec<Stuck> {
        let now = monotonic_ms();
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = |Pulse(beat): &Pulse| {
            let since = silent_for(beat.due.load(Ordering::Relaxed), now, beat.limit.max(patience))?;
            Some(Stuck { name: beat.name, since })
        };
        pulses.iter().filter_map(stuck).collect()
    }
}

/// For how long a pulse that was due at `due` has not been felt `now`, if that is longer than its limit.
fn silent_for(due: u64, now: u64, limit: Duration) -> Option<Duration> {
    let silent = Duration::from_millis(now.saturating_sub(due));
    (silent > limit).then_some(silent)
}

/// By the clock that nobody sets, which is the service manager's, too.
fn monotonic_ms() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    milliseconds(Duration::new(seconds.unwrap_or(0), nanoseconds.unwrap_or(0)))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(RESTING - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    #[test]
    fn a_loop_is_stuck_when_nothing_is_felt_of_it_for_longer_than_its_limit() {
        for (due, now, expected) in [
            (0, 0, None),
            (0, 60_000, None),
            (0, 60_001, Some(60_001)),
            (90_000, 30_000, None),
            (300_000, 360_000, None),
            (300_000, 400_000, Some(100_000)),
            (RESTING, RESTING - 1, None),
            (RESTING, RESTING, None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(silent_for(due, now, LONG), expected, "due {due}, now {now}");
        }
    }

    #[test]
    fn what_works_for_too_long_is_named_and_what_sleeps_rests_or_is_done_is_not() {
        let pulses = Pulses::default();
        let [slow, working, sleeping] =
            [("slow", LONG), ("working", Duration::ZERO), ("sleeping", Duration::ZERO)]
                .map(|(name, limit)| pulses.pulse(name, limit));
        let names = |patience| pulses.stuck(patience).iter().map(|stuck| stuck.name).collect::<Vec<_>>();
        slow.beat();
        let under_way = working.work();
        sleeping.beat();
        let begun = monotonic_ms();
        while monotonic_ms() <= begun {
            std::thread::yield_now();
        }
        assert_eq!(names(Duration::ZERO), ["working", "sleeping"]);
        assert!(names(LONG).is_empty(), "whoever looks has more patience");
        sleeping.sleeps(LONG);
        assert_eq!(names(Duration::ZERO), ["working"]);
        drop(under_way);
        sleeping.rest();
        assert!(names(Duration::ZERO).is_empty());
    }
}
