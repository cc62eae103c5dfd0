//! Pulses: by them the loops of the agent show that they get round.
//!
//! A loop says when it sets to work and for how long it may sleep. One that works or sleeps for longer hangs: in a call that
//! does not return, on a lock that nobody gives back. A loop that waits for something that may take long, an upload or an
//! API that is away, waits in short sleeps, so it never counts as hung.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// One loop's pulse; clones are the same pulse.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    name: &'static str,
    /// Until when it need not be felt again, in milliseconds by the clock that nobody sets.
    due: AtomicU64,
}

/// The pulses of all loops; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pulses(Arc<Mutex<Vec<Pulse>>>);

/// A loop whose pulse is not felt any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hung {
    /// The loop.
    pub name: &'static str,
    /// For how long it should have been felt.
    pub overdue: Duration,
}

impl Pulse {
    /// The pulse of a loop that sets to work.
    pub fn new(name: &'static str) -> Self {
        let pulse = Self(Arc::new(Beat { name, due: AtomicU64::new(0) }));
        pulse.works();
        pulse
    }

    /// The loop begins a piece of work.
    pub fn works(&self) {
        self.sleeps(Duration::ZERO);
    }

    /// The loop sleeps, for so long at most.
    pub fn sleeps(&self, at_most: Duration) {
        self.0.due.store(monotonic_ms().saturating_add(milliseconds(at_most)), Ordering::Relaxed);
    }

    /// The loop sleeps until another one gives it work.
    pub fn is_idle(&self) {
        self.0.due.store(u64::MAX, Ordering::Relaxed);
    }
}

impl Pulses {
    /// Feels this pulse, too, from now on.
    pub fn feel(&self, pulse: Pulse) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(pulse);
    }

    /// The loops that hang now. Work may take as long as `patience`.
    pub fn hung(&self, patience: Duration) -> Vec<Hung> {
        let now = monotonic_ms();
        let pulses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let hung = |pulse: &Pulse| {
            let overdue = overdue(pulse.0.due.load(Ordering::Relaxed), now, patience)?;
            Some(Hung { name: pulse.0.name, overdue })
        };
        pulses.iter().filter_map(hung).collect()
    }
}

/// For how long a pulse that was due at `due` should have been felt `now`, if that is longer than `patience`.
fn overdue(due: u64, now: u64, patience: Duration) -> Option<Duration> {
    let overdue = Duration::from_millis(now.saturating_sub(due));
    (overdue > patience).then_some(overdue)
}

fn monotonic_ms() -> u64 {
    milliseconds(monotonic())
}

/// The time by the clock that nobody sets, as the service manager reads it too.
pub fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_hangs_when_its_pulse_is_overdue_for_longer_than_patience_allows() {
        const PATIENCE: Duration = Duration::from_mins(1);
        for (due, now, expected) in [
            (0, 0, None),
            (0, 60_000, None),
            (0, 60_001, Some(60_001)),
            (300_000, 60_001, None),
            (300_000, 360_000, None),
            (300_000, 400_000, Some(100_000)),
            (u64::MAX, u64::MAX - 1, None),
            (u64::MAX, u64::MAX, None),
        ] {
            let expected = expected.map(Duration::from_millis);
            assert_eq!(overdue(due, now, PATIENCE), expected, "due {due}, now {now}");
        }
    }

    #[test]
    fn a_loop_that_sleeps_or_is_idle_does_not_hang_and_one_that_works_for_ever_does() {
        let pulses = Pulses::default();
        let pulse = Pulse::new("spool");
        pulses.feel(pulse.clone());
        pulses.feel(Pulse::new("outbox"));
        let names = |patience| pulses.hung(patience).iter().map(|hung| hung.name).collect::<Vec<_>>();
        assert!(names(Duration::from_mins(1)).is_empty());
        let begun = monotonic_ms();
        while monotonic_ms() <= begun {
            std::thread::yield_now();
        }
        assert_eq!(names(Duration::ZERO), ["spool", "outbox"]);
        pulse.sleeps(Duration::from_mins(1));
        assert_eq!(names(Duration::ZERO), ["outbox"]);
        pulse.is_idle();
        assert_eq!(names(Duration::ZERO), ["outbox"]);
    }
}
