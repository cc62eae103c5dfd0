//! The thread that reports to the service manager.

use std::time::{Duration, Instant};

use host::notify;
use host::watchdog::{self, Watchdog};

use super::words;
use crate::outbox::OutboxError;
use crate::outbox::fact::{self, Fact};
use crate::outbox::log::DeliveryLog;
use crate::watch::Stop;

/// How often what waits is counted at most.
const EVERY: Duration = Duration::from_secs(10);

/// Counting takes this part of the time at most, however long the backlog.
const PART: u32 = 100;

/// Reports until the agent stops.
pub struct Report {
    watchdog: Option<Watchdog>,
    every: Duration,
    log: DeliveryLog,
    stop: Stop,
    /// What was said last.
    said: String,
    count_at: Instant,
}

impl Report {
    /// A report on the loops that listen to `stop` and on what waits in `log`.
    pub fn new(log: DeliveryLog, stop: Stop) -> Self {
        let watchdog = notify::watchdog();
        Self {
            watchdog: watchdog.map(|watchdog| Watchdog::new(stop.pulses().clone(), patience(watchdog))),
            every: watchdog::interval(watchdog, EVERY),
            log,
            stop,
            said: String::new(),
            count_at: Instant::now(),
        }
    }

    /// Reports again and again until the agent stops.
    pub fn run(mut self) {
        loop {
            if let Some(watchdog) = &mut self.watchdog {
                watchdog.look();
            }
            if Instant::now() >= self.count_at
                && let Err(error) = self.count()
            {
                tracing::debug!(%error, "what waits could not be counted");
            }
            if self.stop.wait(self.every) {
                return;
            }
        }
    }

    /// What waits, and what the heartbeats have learnt.
    fn line(&self) -> Result<String, OutboxError> {
        let introduced = self.log.fact(fact::AGENT)?;
        let heartbeat = self.log.fact(fact::HEARTBEAT)?;
        let heartbeat = heartbeat.filter(|said| is_of_this_run(said, introduced.as_ref()));
        let backlog = words::backlog(&self.log.backlog()?);
        Ok(std::iter::once(backlog)
            .chain(heartbeat.as_ref().and_then(words::heartbeat))
            .collect::<Vec<_>>()
            .join("; "))
    }

    /// Says what waits, if that is another thing than before.
    fn count(&mut self) -> Result<(), OutboxError> {
        let began = Instant::now();
        let said = self.line();
        self.count_at = Instant::now() + EVERY.max(began.elapsed() * PART);
        let said = said?;
        if said != self.said {
            notify::status(&said);
            self.said = said;
        }
        Ok(())
    }
}

/// Whether the agent that runs said this, and not one before it.
fn is_of_this_run(said: &Fact, introduced: Option<&Fact>) -> bool {
    introduced.is_none_or(|introduced| said.at >= introduced.at)
}

/// How long a piece of work may take: less than the watchdog waits, so that the journal tells which part hung.
fn patience(watchdog: Duration) -> Duration {
    watchdog / 2
}
