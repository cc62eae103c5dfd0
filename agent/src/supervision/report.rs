//! The thread that reports to the service manager.

use std::time::{Duration, Instant};

use super::{notify, words};
use crate::outbox::OutboxError;
use crate::outbox::log::DeliveryLog;
use crate::pulse::{Hung, Pulses};
use crate::watch::Stop;

/// How often what waits is counted at most.
const EVERY: Duration = Duration::from_secs(10);

/// Counting takes this part of the time at most, however long the backlog.
const PART: u32 = 100;

/// Reports until the agent stops.
pub struct Report {
    pulses: Pulses,
    log: DeliveryLog,
    stop: Stop,
    /// How long the service manager waits for a sign of life; `None` if it does not.
    watchdog: Option<Duration>,
    /// What was said last.
    said: String,
    count_at: Instant,
    hung: Vec<Hung>,
}

impl Report {
    /// A report on the loops that listen to `stop` and on what waits in `log`. It begins with what waits now.
    ///
    /// # Errors
    ///
    /// What the outbox did not say.
    pub fn new(log: DeliveryLog, stop: Stop) -> Result<Self, OutboxError> {
        let mut report = Self {
            pulses: stop.pulses().clone(),
            log,
            stop,
            watchdog: sd_notify::watchdog_enabled().filter(|watchdog| !watchdog.is_zero()),
            said: String::new(),
            count_at: Instant::now(),
            hung: Vec::new(),
        };
        report.count()?;
        Ok(report)
    }

    /// Reports again and again until the agent stops.
    pub fn run(mut self) {
        let every = interval(self.watchdog);
        loop {
            self.feel();
            if Instant::now() >= self.count_at
                && let Err(error) = self.count()
            {
                tracing::debug!(%error, "what waits could not be counted");
            }
            if self.stop.wait(every) {
                return;
            }
        }
    }

    /// Feeds the watchdog if every loop gets round, and says which one does not.
    fn feel(&mut self) {
        let Some(watchdog) = self.watchdog else { return };
        let hung = self.pulses.hung(patience(watchdog));
        for loop_ in news(&hung, &self.hung) {
            tracing::error!(
                part = loop_.name,
                seconds = loop_.overdue.as_secs(),
                "a part of the agent hangs; unless it goes on, the service manager starts the agent again"
            );
        }
        for loop_ in news(&self.hung, &hung) {
            tracing::warn!(part = loop_.name, "a part of the agent that hung goes on");
        }
        if hung.is_empty() {
            notify::alive();
        }
        self.hung = hung;
    }

    /// Says what waits, if that is another thing than before.
    fn count(&mut self) -> Result<(), OutboxError> {
        let began = Instant::now();
        let said = self.log.backlog().map(|backlog| words::backlog(&backlog));
        self.count_at = Instant::now() + EVERY.max(began.elapsed() * PART);
        let said = said?;
        if said != self.said {
            notify::status(&said);
            self.said = said;
        }
        Ok(())
    }
}

/// Those of `now` that are not among `before`.
fn news<'a>(now: &'a [Hung], before: &'a [Hung]) -> impl Iterator<Item = &'a Hung> {
    now.iter().filter(|loop_| before.iter().all(|known| known.name != loop_.name))
}

/// How often to report: some times before the watchdog loses patience.
fn interval(watchdog: Option<Duration>) -> Duration {
    watchdog.map_or(EVERY, |watchdog| (watchdog / 4).min(EVERY))
}

/// How long a piece of work may take: less than the watchdog waits, so that the journal tells which part hung.
fn patience(watchdog: Duration) -> Duration {
    watchdog / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_comes_in_time_whatever_the_watchdog_asks_for() {
        for (seconds, expected_ms) in [(None, 10_000), (Some(1), 250), (Some(20), 5_000), (Some(120), 10_000)]
        {
            let watchdog = seconds.map(Duration::from_secs);
            assert_eq!(interval(watchdog), Duration::from_millis(expected_ms), "{seconds:?}");
        }
    }

    #[test]
    fn a_loop_that_hangs_is_news_once() {
        let hung = |name, seconds| Hung { name, overdue: Duration::from_secs(seconds) };
        let (before, now) = ([hung("spool", 70)], [hung("spool", 80), hung("outbox", 61)]);
        assert_eq!(news(&now, &before).map(|hung| hung.name).collect::<Vec<_>>(), ["outbox"]);
        assert_eq!(news(&before, &now).count(), 0, "nothing goes on");
    }
}
