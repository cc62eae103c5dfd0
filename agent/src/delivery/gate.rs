//! The circuit breaker in front of the API.
//!
//! While the API does not answer, the gate is closed and one request at a time is let through as a probe; its success
//! opens the gate for all. A dead API then costs one request per backoff, however many rooms wait.

use std::time::Duration;

use tokio::time::Instant;

/// The breaker's state.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Gate {
    failures: u32,
    closed: Option<Closed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Closed {
    since: Instant,
    until: Instant,
    probing: bool,
}

/// What a finished request says about the API as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answered.
    Answering,
    /// It did not, or said that it cannot, or that it does not trust us.
    Failing,
}

impl Gate {
    /// Whether a request may start at `now`.
    pub fn is_open(&self, now: Instant) -> bool {
        self.closed.is_none_or(|closed| !closed.probing && now >= closed.until)
    }

    /// When the gate should be asked again; `None` while it is open or a probe is on its way.
    pub fn reopens_at(&self) -> Option<Instant> {
        self.closed.filter(|closed| !closed.probing).map(|closed| closed.until)
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// A request starts.
    pub fn started(&mut self) {
        if let Some(closed) = &mut self.closed {
            closed.probing = true;
        }
    }

    /// A request that began at `began` ended. After a failure the gate stays closed for `wait` from `now`.
    ///
    /// Requests that were on their way when the gate closed fail with it: they count as the same failure.
    pub fn finished(&mut self, health: Health, began: Instant, now: Instant, wait: Duration) {
        match health {
            Health::Answering => *self = Self::default(),
            Health::Failing if self.closed.is_some_and(|closed| began < closed.since) => {}
            Health::Failing => {
                self.failures = self.failures.saturating_add(1);
                self.closed = Some(Closed { since: now, until: now + wait, probing: false });
            }
        }
    }

    /// A request that began at `began` ended without having told anything about the API: there was nothing to send.
    pub fn abandoned(&mut self, began: Instant) {
        if let Some(closed) = &mut self.closed
            && began >= closed.since
        {
            closed.probing = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_closed_gate_lets_one_probe_through_after_the_wait() {
        let now = Instant::now();
        let mut gate = Gate::default();
        assert!(gate.is_open(now));
        gate.started();
        gate.finished(Health::Failing, now, now, SECOND);
        assert!(!gate.is_open(now));
        assert!(!gate.is_open(now + SECOND - Duration::from_millis(1)));
        assert!(gate.is_open(now + SECOND));
        gate.started();
        assert!(!gate.is_open(now + SECOND), "the probe is on its way");
        gate.finished(Health::Failing, now + SECOND, now + SECOND, SECOND * 2);
        assert_eq!((gate.failures(), gate.reopens_at()), (2, Some(now + SECOND * 3)));
        gate.started();
        gate.finished(Health::Answering, now + SECOND * 3, now + SECOND * 3, SECOND);
        assert!(gate.is_open(now));
        assert_eq!(gate.failures(), 0);
    }

    #[test]
    fn requests_that_fail_together_are_one_failure() {
        let now = Instant::now();
        let mut gate = Gate::default();
        gate.finished(Health::Failing, now, now + SECOND, SECOND);
        gate.started();
        gate.finished(Health::Failing, now, now + SECOND, SECOND);
        assert_eq!(gate.failures(), 1);
        assert_eq!(gate.reopens_at(), None, "the probe is still on its way");
    }

    #[test]
    fn an_abandoned_probe_makes_way_for_the_next() {
        let now = Instant::now();
        let mut gate = Gate::default();
        gate.finished(Health::Failing, now, now, Duration::ZERO);
        gate.started();
        gate.abandoned(now);
        assert!(gate.is_open(now));
    }
}
