//! Delivery: from the outbox to the API.
//!
//! Lanes ([`lanes`]) take turns behind a breaker ([`gate`]). A turn claims a lane's oldest items, sends them, and turns
//! the reply into a settlement ([`settlement`], pure). Signals only wake the loop; what there is to do stands in the
//! outbox, so a restart and normal work are the same code.

pub mod backoff;
pub mod client;
pub mod gate;
pub mod lanes;
mod report;
pub mod request;
pub mod settlement;
mod turn;

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use contract::verdict::Outcome;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use self::backoff::Backoff;
use self::client::{Client, Reply};
use self::gate::{Gate, Health};
use self::lanes::{Lanes, Turn};
use self::request::Routes;
use self::settlement::Again;
use self::turn::{End, Report, Sent, Shared};
use crate::chain::Chain;
use crate::clock::{ApiClock, now_ms};
use crate::config;
use crate::outbox::model::{Kept, LaneId, Meeting};
use crate::outbox::{Outbox, OutboxError, Reader, Signal};
use crate::secret::SharedSecret;

/// How long requests that are on their way may take once the agent is told to stop.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How long to leave the outbox alone when it cannot be read.
const TROUBLE: Duration = Duration::from_secs(1);

/// What delivery works with.
pub struct Parts {
    /// Where it writes down what came of each request.
    pub outbox: Outbox,
    /// Where it finds what to send.
    pub reader: Reader,
    /// What tells it that there is something new.
    pub signals: UnboundedReceiver<Signal>,
    /// What sends.
    pub client: Client,
    /// Where to.
    pub routes: Routes,
    /// What signs.
    pub secret: SharedSecret,
    /// What is known about the API's clock.
    pub clock: ApiClock,
}

/// The delivery loop.
pub struct Delivery {
    shared: Shared,
    clock: ApiClock,
    signals: UnboundedReceiver<Signal>,
    connections: usize,
    backoff: Backoff,
    lanes: Lanes,
    gate: Gate,
}

/// Again with the next turn, and no failure of anybody's.
const AT_ONCE: Again = Again::Later { floor: Duration::ZERO, counts: false };

type Turns<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Report> + 'a>>>;

impl Delivery {
    /// Prepares delivery as configured.
    pub fn new(settings: &config::Delivery, parts: Parts) -> Self {
        let Parts { outbox, reader, signals, client, routes, secret, clock } = parts;
        let backoff = settings.backoff();
        let batch = Cell::new(settings.batch_max_events);
        Self {
            shared: Shared { outbox, reader, client, routes, secret, batch },
            clock,
            signals,
            connections: settings.connections,
            backoff,
            lanes: Lanes::default(),
            gate: Gate::default(),
        }
    }

    /// Delivers until `stop` completes, then waits a moment for the requests that are on their way.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), OutboxError> {
        let Self { shared, clock, mut signals, connections, backoff, lanes, gate } = self;
        let mut state = State {
            shared: &shared,
            clock,
            backoff,
            lanes,
            gate,
            refused: false,
            secret_since: Instant::now(),
        };
        let mut secrets = shared.secret.changes();
        state.look_at_everything()?;
        let mut turns: Turns<'_> = FuturesUnordered::new();
        tokio::pin!(stop);
        loop {
            let wake = state.start_turns(&mut turns, connections);
            tokio::select! {
                Some(report) = turns.next(), if !turns.is_empty() => state.finish(report),
                signal = signals.recv() => match signal {
                    Some(Signal::Appended(lanes)) => lanes.into_iter().for_each(|lane| state.lanes.appended(lane)),
                    Some(Signal::Changed) => {
                        // An operator asked: neither a room's wait nor a closed gate is to hold that up.
                        state.gate = Gate::default();
                        state.lanes.wake_all();
                        state.look_at_everything()?;
                    }
                    None => return Err(OutboxError::Closed),
                },
                Ok(()) = secrets.changed() => state.secret_changed(),
                () = sleep_until(wake) => {}
                () = &mut stop => break,
            }
        }
        let finish = async {
            while let Some(report) = turns.next().await {
                state.finish(report);
            }
        };
        if tokio::time::timeout(LAST_WORDS, finish).await.is_err() {
            tracing::info!("stopping with requests on their way; they will be sent again under the same ids");
        }
        Ok(())
    }
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

struct State<'a> {
    shared: &'a Shared,
    clock: ApiClock,
    backoff: Backoff,
    lanes: Lanes,
    gate: Gate,
    /// Whether it was a refused signature that closed the gate.
    refused: bool,
    /// Since when the secret has been the one that it is.
    secret_since: Instant,
}

impl<'a> State<'a> {
    /// Finds every lane that has something to deliver: at start, and when another process changed the outbox.
    fn look_at_everything(&mut self) -> Result<(), OutboxError> {
        let (now, wall) = (Instant::now(), now_ms());
        for waiting in self.shared.reader.waiting()? {
            let wait = remaining(waiting.due_at, wall, self.backoff.max);
            self.lanes.restored(waiting.lane, waiting.attempts, now + wait, now);
        }
        Ok(())
    }

    /// Gives turns to lanes while there are connections and the gate is open. Returns when to look again.
    fn start_turns(&mut self, turns: &mut Turns<'a>, connections: usize) -> Option<Instant> {
        let now = Instant::now();
        while turns.len() < connections && self.gate.is_open(now) {
            let Some(lane) = self.lanes.next(now) else { break };
            self.gate.started();
            turns.push(Box::pin(turn::take(self.shared, lane, self.lanes.begin(lane, now), now)));
        }
        if turns.len() >= connections {
            return None;
        }
        if self.lanes.has_turn(now) { self.gate.reopens_at() } else { self.lanes.next_due() }
    }

    fn finish(&mut self, report: Report) {
        let lane = report.lane;
        let (turn, done) = match report.end {
            End::Empty => {
                self.gate.abandoned(report.began);
                (Turn::Empty, None)
            }
            End::Trouble(error) => {
                self.gate.abandoned(report.began);
                tracing::error!(error = %Chain(&error), "the outbox could not be read; tried again in a moment");
                (
                    Turn::Wait {
                        until: Instant::now() + TROUBLE,
                        failures: self.lanes.failures(lane),
                        limit: None,
                    },
                    None,
                )
            }
            End::Sent(sent) => {
                let done = sent.done;
                (self.write_down(lane, report.began, sent), Some(done))
            }
        };
        self.lanes.ended(lane, turn, done, Instant::now());
    }

    /// Writes down what a turn did, and decides what its lane does next.
    fn write_down(&mut self, lane: LaneId, began: Instant, sent: Sent) -> Turn {
        let Sent { mut earlier, progress, reply, settlement, meeting, first_id, parked_ids, .. } = sent;
        if progress {
            // The API answered before it failed: that is the first failure in a row, not one more.
            self.gate.finished(Health::Answering, began, Instant::now(), Duration::ZERO);
        }
        report::parked(&parked_ids, &settlement.parked, || self.room(lane));
        self.lanes.meeting(lane, meeting, Instant::now());
        let failures = if progress { 0 } else { self.lanes.failures(lane) };
        let refused = matches!(reply.outcome, Outcome::Answered { status: 401, .. });
        // What an old secret signed says nothing about the new one.
        let outdated = refused && began < self.secret_since;
        let health = if outdated { Health::Answering } else { settlement::health(reply.outcome) };
        let again = if outdated { AT_ONCE } else { settlement.again };
        let (turn, wait, failures) = self.decide(failures, health, again, &reply, settlement.kept.len());
        tracing::debug!(lane, ?turn, ?health, reason = report::brief(&reply), "a turn ended");
        if let (Turn::Wait { failures: report::WORTH_A_WARNING, .. }, Health::Answering, 1) =
            (turn, health, settlement.kept.len())
        {
            report::stuck(&first_id, &self.room(lane), &reply, meeting == Meeting::Missing);
        }
        earlier.extend(settlement.settled.iter().map(|seq| (*seq, reply.took_ms)));
        let mut answer = turn::answer(lane, &reply, earlier);
        answer.parked = settlement.parked;
        answer.meeting = meeting;
        if let (Some(&first), Some(&last)) = (settlement.kept.first(), settlement.kept.last()) {
            let due_at = now_ms() + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            answer.kept = Some(Kept { first, last, due_at, attempts: failures, note: reply.note.clone() });
        }
        if let Some(theirs) = reply.server_time {
            // The header tells full seconds, and the answer was on its way for a while.
            self.clock.learn(theirs, now_ms(), 1000 + reply.took_ms);
        }
        report::health(health, self.gate.failures(), &reply, wait, &self.clock);
        self.gate.finished(health, began, Instant::now(), wait);
        self.refused = refused && health == Health::Failing;
        self.shared.outbox.settle(answer);
        turn
    }

    /// The room of a lane, for the log; nothing where the outbox does not say.
    fn room(&self, lane: LaneId) -> String {
        self.shared.reader.room(lane).ok().flatten().unwrap_or_default()
    }

    /// Another secret signs from now on: what the old one was refused for is tried at once.
    fn secret_changed(&mut self) {
        self.secret_since = Instant::now();
        if self.refused {
            self.refused = false;
            self.gate = Gate::default();
            self.lanes.end_waits();
        }
    }

    /// What a lane with so many failures in a row does next, how long it waits, and its failures then. The last request left
    /// `kept` events.
    fn decide(
        &self,
        failures: u32,
        health: Health,
        again: Again,
        reply: &Reply,
        kept: usize,
    ) -> (Turn, Duration, u32) {
        match again {
            Again::Nothing => (Turn::Progress, Duration::ZERO, 0),
            Again::Smaller(limit) => (Turn::Smaller(limit), Duration::ZERO, failures),
            Again::Singly => {
                self.shared.batch.set(1);
                tracing::info!(
                    "the API takes no batches; events are sent one by one until the agent restarts"
                );
                (Turn::Smaller(1), Duration::ZERO, failures)
            }
            Again::Later { floor, counts } => {
                let failures = failures.saturating_add(u32::from(counts));
                // While the API fails as a whole, its own failures set the pace, not those of the room that probes it.
                let pace =
                    if health == Health::Failing { self.gate.failures().saturating_add(1) } else { failures };
                let limit = settlement::isolating(reply.outcome, kept, failures);
                // The search for the one event that fails takes a few requests; each with the whole backoff would take it an hour.
                let pace = if limit.is_some() && health == Health::Answering { 1 } else { pace };
                let wait = self.backoff.wait(pace, fastrand::f64()).max(floor);
                (Turn::Wait { until: Instant::now() + wait, failures, limit }, wait, failures)
            }
        }
    }
}

/// How long a wait that was written down before a restart still lasts.
///
/// A clock that was set back since makes it longer by as much, so it lasts the longest backoff at most: a request too many
/// after a restart does no harm, an item that waits for hours does.
fn remaining(due_at: i64, now: i64, longest: Duration) -> Duration {
    u64::try_from(due_at.saturating_sub(now)).map_or(Duration::ZERO, Duration::from_millis).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_outlives_a_restart_is_bounded_whatever_the_clock_does() {
        let longest = Duration::from_mins(5);
        for (due_at, now, expected_ms) in [
            (60_000, 20_000, 40_000),
            (60_000, 60_000, 0),
            (60_000, 90_000_000, 0),
            (90_000_000, 60_000, 300_000),
            (i64::MAX, i64::MIN, 300_000),
            (0, i64::MAX, 0),
        ] {
            let expected = Duration::from_millis(expected_ms);
            assert_eq!(remaining(due_at, now, longest), expected, "due at {due_at}, now {now}");
        }
    }
}
