//! Feeds the service manager's watchdog for as long as every loop turns. When it is not fed for as long as the unit's
//! `WatchdogSec=` says, the service manager ends the process and starts another.

use std::time::Duration;

use crate::notify;
use crate::pulse::{Pulses, Stuck};

/// Looks at pulses, and feeds the watchdog.
#[derive(Debug)]
pub struct Watchdog {
    pulses: Pulses,
    patience: Duration,
    /// The loops that did not turn at the last look.
    stuck: Vec<Stuck>,
}

impl Watchdog {
    /// A loop may be silent for as long as its own limit says, or as `patience`, whichever is longer.
    pub fn new(pulses: Pulses, patience: Duration) -> Self {
        Self { pulses, patience, stuck: Vec::new() }
    }

    /// Feeds the watchdog if every loop turns, and logs which one does not, and which one goes on. Returns those that are stuck
    /// if they are others than before.
    pub fn look(&mut self) -> Option<&[Stuck]> {
        let before = std::mem::replace(&mut self.stuck, self.pulses.stuck(self.patience));
        let mut is_news = false;
        for Stuck { name, since } in news(&self.stuck, &before) {
            is_news = true;
            tracing::error!(
                part = name,
                seconds = since.as_secs(),
                "a part of the service hangs; unless it goes on, the service manager starts it again"
            );
        }
        for Stuck { name, .. } in news(&before, &self.stuck) {
            is_news = true;
            tracing::warn!(part = name, "a part of the service that hung goes on");
        }
        if self.stuck.is_empty() {
            notify::alive();
        }
        is_news.then_some(&self.stuck)
    }
}

/// How often to look, where `at_most` is wanted: some times before the watchdog loses patience.
pub fn interval(watchdog: Option<Duration>, at_most: Duration) -> Duration {
    watchdog.map_or(at_most, |watchdog| (watchdog / 4).min(at_most)).max(Duration::from_millis(10))
}

/// Those of `now` that are not among `before`.
fn news<'a>(now: &'a [Stuck], before: &'a [Stuck]) -> impl Iterator<Item = &'a Stuck> {
    now.iter().filter(|stuck| before.iter().all(|known| known.name != stuck.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_comes_in_time_whatever_the_watchdog_asks_for() {
        const AT_MOST: Duration = Duration::from_secs(10);
        for (watchdog_ms, expected_ms) in [
            (None, 10_000),
            (Some(1_000), 250),
            (Some(20_000), 5_000),
            (Some(120_000), 10_000),
            (Some(1), 10),
        ] {
            let watchdog = watchdog_ms.map(Duration::from_millis);
            assert_eq!(interval(watchdog, AT_MOST), Duration::from_millis(expected_ms), "{watchdog:?}");
        }
    }

    #[test]
    fn a_loop_that_hangs_is_news_once_and_again_when_it_goes_on() {
        let pulses = Pulses::default();
        let [spool, outbox] = ["spool", "outbox"].map(|name| pulses.pulse(name, Duration::ZERO));
        let mut watchdog = Watchdog::new(pulses.clone(), Duration::ZERO);
        assert_eq!(watchdog.look(), None);
        let mut names_after = |expected: &[&str]| {
            while pulses.stuck(Duration::ZERO).len() < expected.len() {
                std::thread::yield_now();
            }
            let stuck = watchdog.look().map(|stuck| stuck.iter().map(|stuck| stuck.name).collect::<Vec<_>>());
            assert_eq!(stuck.as_deref(), Some(expected));
            assert_eq!(watchdog.look(), None, "it is no news any more");
        };
        spool.beat();
        names_after(&["spool"]);
        outbox.beat();
        names_after(&["spool", "outbox"]);
        spool.rest();
        names_after(&["outbox"]);
        outbox.rest();
        names_after(&[]);
    }
}
