//! Delivery: from the outbox to the API.
//!
//! Lanes ([`lanes`]) take turns behind a breaker ([`gate`]). A turn claims a lane's oldest items, sends them, and turns
//! the reply into a settlement ([`settlement`], pure). Signals only wake the loop; what there is to do stands in the
//! outbox, so a restart and normal work are the same code.

pub mod backoff;
pub mod client;
pub mod gate;
pub mod lanes;
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
use crate::clock::now_ms;
use crate::config;
use crate::outbox::model::{Kept, LaneId, Seq};
use crate::outbox::{Outbox, OutboxError, Reader, Signal};
use crate::secret::SharedSecret;

/// How long requests that are on their way may take once the agent is told to stop.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// How long to leave the outbox alone when it cannot be read.
const TROUBLE: Duration = Duration::from_secs(1);

/// The number of failures in a row after which an operator should know.
const WORTH_A_WARNING: u32 = 5;

/// The delivery loop.
pub struct Delivery {
    shared: Shared,
    signals: UnboundedReceiver<Signal>,
    connections: usize,
    backoff: Backoff,
    lanes: Lanes,
    gate: Gate,
}

type Turns<'a> = FuturesUnordered<Pin<Box<dyn Future<Output = Report> + 'a>>>;

impl Delivery {
    /// Prepares delivery of `outbox` as configured.
    pub fn new(
        settings: &config::Delivery,
        outbox: Outbox,
        reader: Reader,
        signals: UnboundedReceiver<Signal>,
        client: Client,
        routes: Routes,
        secret: SharedSecret,
    ) -> Self {
        let backoff = Backoff {
            min: Duration::from_secs(settings.backoff_min_seconds),
            max: Duration::from_secs(settings.backoff_max_seconds),
        };
        let batch = Cell::new(settings.batch_max_events);
        Self {
            shared: Shared { outbox, reader, client, routes, secret, batch },
            signals,
            connections: settings.connections,
            backoff,
            lanes: Lanes::default(),
            gate: Gate::default(),
        }
    }

    /// Delivers until `stop` completes, then waits a moment for the requests that are on their way.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), OutboxError> {
        let Self { shared, mut signals, connections, backoff, lanes, gate } = self;
        let mut state = State { shared: &shared, backoff, lanes, gate };
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
                        state.lanes.wake_all();
                        state.look_at_everything()?;
                    }
                    None => return Err(OutboxError::Closed),
                },
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
    backoff: Backoff,
    lanes: Lanes,
    gate: Gate,
}

impl<'a> State<'a> {
    /// Finds every lane that has something to deliver: at start, and when another process changed the outbox.
    fn look_at_everything(&mut self) -> Result<(), OutboxError> {
        let (now, wall) = (Instant::now(), now_ms());
        for waiting in self.shared.reader.waiting()? {
            // A due time farther away than the longest backoff means that the clock was set back: it counts as due.
            let wait = u64::try_from(waiting.due_at.saturating_sub(wall))
                .map_or(Duration::ZERO, Duration::from_millis);
            let wait = if wait > contract::verdict::LONGEST_RETRY_AFTER { Duration::ZERO } else { wait };
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
            turns.push(Box::pin(turn::take(
                self.shared,
                lane,
                self.lanes.after(lane),
                self.lanes.limit(lane),
            )));
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
                (Turn::Wait { until: Instant::now() + TROUBLE, failures: self.lanes.failures(lane) }, None)
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
        let Sent { mut earlier, progress, reply, settlement, meeting, parked_ids, .. } = sent;
        if progress {
            // The API answered before it failed: that is the first failure in a row, not one more.
            self.gate.finished(Health::Answering, began, Instant::now(), Duration::ZERO);
        }
        report_parked(&parked_ids, &settlement.parked);
        let health = settlement::health(reply.outcome);
        let failures = if progress { 0 } else { self.lanes.failures(lane) };
        let (turn, wait, failures) = self.decide(failures, health, settlement.again, fastrand::f64());
        tracing::debug!(lane, ?turn, ?health, reason = brief(&reply), "a turn ended");
        earlier.extend(settlement.settled.iter().map(|seq| (*seq, reply.took_ms)));
        let mut answer = turn::answer(lane, &reply, earlier);
        answer.parked = settlement.parked;
        answer.meeting = meeting;
        if let (Some(&first), Some(&last)) = (settlement.kept.first(), settlement.kept.last()) {
            let due_at = now_ms() + i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            answer.kept = Some(Kept { first, last, due_at, attempts: failures, note: reply.note.clone() });
        }
        self.report_health(health, &reply, wait);
        self.gate.finished(health, began, Instant::now(), wait);
        self.shared.outbox.settle(answer);
        turn
    }

    /// What a lane with so many failures in a row does next, how long it waits, and its failures then.
    fn decide(&self, failures: u32, health: Health, again: Again, chance: f64) -> (Turn, Duration, u32) {
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
                let wait = self.backoff.wait(pace, chance).max(floor);
                (Turn::Wait { until: Instant::now() + wait, failures }, wait, failures)
            }
        }
    }

    fn report_health(&self, health: Health, reply: &Reply, wait: Duration) {
        let failures = self.gate.failures();
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        match health {
            Health::Answering if failures > 0 => {
                tracing::info!(failures, "the API answers again; deliveries go on");
            }
            Health::Failing
                if failures == 0 && matches!(reply.outcome, Outcome::Answered { status: 401, .. }) =>
            {
                tracing::warn!(
                    reason = brief(reply),
                    wait_ms,
                    "the API does not accept our signature: secret or clock differ; everything is kept (see `reflector-agent send-test`)"
                );
            }
            Health::Failing if failures + 1 == WORTH_A_WARNING => tracing::warn!(
                reason = brief(reply),
                wait_ms,
                "the API has not accepted deliveries {WORTH_A_WARNING} times in a row; everything is kept and retried (see `reflector-agent status`)"
            ),
            Health::Failing => {
                tracing::info!(
                    reason = brief(reply),
                    wait_ms,
                    "a delivery did not get through; it is retried"
                );
            }
            Health::Answering => {}
        }
    }
}

fn report_parked(ids: &[String], parked: &[(Seq, String)]) {
    for (id, (_, why)) in ids.iter().zip(parked) {
        tracing::warn!(
            event.id = id,
            reason = why,
            "an event was refused for good and is parked; see `reflector-agent deliveries show {id}`"
        );
    }
}

/// What an answer was, for the log: its text, which may quote what was sent, stays in the outbox.
fn brief(reply: &Reply) -> String {
    match reply.outcome {
        Outcome::Unreachable => reply.note.clone(),
        Outcome::Answered { status, code: Some(code), .. } => format!("{status} {}", code.as_str()),
        Outcome::Answered { status, code: None, .. } => format!("{status}, not from a Reflector API"),
    }
}
