//! Runs jobs under their leases.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use host::pulse::Pulse;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::{Job, Summary};
use crate::db::{self, jobs};
use crate::meters;
use crate::state::State;
use crate::stopping::stopped;

/// How long a run that nobody renews keeps others away: after this time a process that died does not count.
const TERM: Duration = Duration::from_mins(1);

/// How often a run renews its lease. Three attempts fit into a term.
const RENEWAL: Duration = Duration::from_secs(15);

/// A run that could not renew its lease for this long is cut short, some time before others may begin.
const DEADLINE: Duration = Duration::from_secs(55);

/// The longest between two looks at a job's row: what another replica hastens is seen by then.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);
/// The shortest.
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);

/// How long a loop may not turn. Between two turns there are at most [`DEADLINE`] or [`LONGEST_PAUSE`], and a few statements that the
/// database may leave unanswered for 13 seconds each.
const TURN_LIMIT: Duration = Duration::from_mins(3);

/// How long the end of the process waits for leases to be given back.
const FAREWELL: Duration = Duration::from_secs(3);

/// The jobs of this process.
pub struct Running {
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
}

/// Runs `jobs` whenever they are due, until [`Running::stop`].
pub fn start(state: &State, jobs: Vec<Job>) -> Running {
    let (stop, stopping) = watch::channel(false);
    let mut loops = JoinSet::new();
    for job in jobs {
        loops.spawn(keep_running(state.clone(), job, stopping.clone()));
    }
    Running { stop, loops }
}

impl Running {
    /// Cuts short what runs, and gives the leases back.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let farewell = async { while self.loops.join_next().await.is_some() {} };
        if timeout(FAREWELL, farewell).await.is_err() {
            tracing::warn!("leases of periodic work were not given back; others wait until they run out");
        }
    }
}

async fn keep_running(state: State, job: Job, mut stopping: watch::Receiver<bool>) {
    let holder = Uuid::new_v4().simple().to_string();
    let pulse = state.pulses.pulse(job.name, TURN_LIMIT);
    loop {
        pulse.beat();
        let pause = turn(&state, job, &holder, &pulse, stopping.clone()).await;
        tokio::select! {
            () = sleep(pause) => {}
            () = state.wakes.woken(job.name) => hasten(&state, job).await,
            () = stopped(&mut stopping) => return pulse.rest(),
        }
    }
}

async fn hasten(state: &State, job: Job) {
    if let Err(error) = jobs::hasten(&state.db, job.name).await {
        tracing::debug!(job.name, "a job is not hastened: {error}");
    }
}

/// Runs the job if it is due; returns how long to wait for the next look.
async fn turn(
    state: &State,
    job: Job,
    holder: &str,
    pulse: &Pulse,
    stopping: watch::Receiver<bool>,
) -> Duration {
    match jobs::claim(&state.db, job.name, holder, TERM, jittered(job.every)).await {
        Ok(jobs::Claim::Granted) => {
            run(state, job, holder, pulse, stopping).await;
            SHORTEST_PAUSE
        }
        Ok(jobs::Claim::NotYet(left)) => left.clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
        Err(error) => {
            if !db::is_outage(&error) {
                tracing::warn!(job.name, "a job cannot begin: {error}");
            }
            jittered(job.every.min(Duration::from_secs(10)))
        }
    }
}

/// Runs the job under its lease, and notes what came of it.
async fn run(state: &State, job: Job, holder: &str, pulse: &Pulse, mut stopping: watch::Receiver<bool>) {
    let begun = Instant::now();
    let work = AssertUnwindSafe((job.run)(state.clone())).catch_unwind();
    let outcome = tokio::select! {
        outcome = work => outcome,
        () = until_lost(state, job, holder, pulse) => {
            tracing::warn!(job.name, "a job was cut short: its lease could not be kept");
            return;
        }
        () = stopped(&mut stopping) => {
            if let Err(error) = jobs::release(&state.db, job.name, holder).await {
                tracing::debug!(job.name, "a lease is not given back: {error}");
            }
            return;
        }
    };
    let (succeeded, said) = match outcome {
        Ok(Ok(Summary(said))) => {
            if !said.is_empty() {
                tracing::info!(job.name, "{said}");
            }
            (true, said)
        }
        Ok(Err(error)) => {
            tracing::warn!(job.name, "a job failed, and is tried again later: {error:#}");
            (false, format!("{error:#}"))
        }
        Err(_) => {
            tracing::error!(job.name, "a job panicked, and is tried again later");
            (false, "panicked".to_owned())
        }
    };
    meters::job(job.name, succeeded, begun.elapsed());
    if let Err(error) = jobs::finish(&state.db, job.name, holder, succeeded, &said).await {
        tracing::debug!(job.name, "the end of a job is not noted: {error}");
    }
}

/// Keeps the lease until that fails for good. A run may take any time: its pulse is that its lease is looked after, which a run that
/// blocks its thread keeps from happening.
async fn until_lost(state: &State, job: Job, holder: &str, pulse: &Pulse) {
    let mut kept = Instant::now();
    loop {
        pulse.beat();
        sleep(RENEWAL).await;
        let asked = Instant::now();
        let left = DEADLINE.saturating_sub(kept.elapsed());
        match timeout(left, jobs::renew(&state.db, job.name, holder, TERM)).await {
            Ok(Ok(true)) => kept = asked,
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(_)) if kept.elapsed() + RENEWAL >= DEADLINE => return,
            Ok(Err(_)) => {}
        }
    }
}

/// Replicas that were started together do not stay together.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_within_a_tenth_of_what_was_asked_for() {
        for _ in 0..1000 {
            let pause = jittered(Duration::from_secs(100));
            assert!((90.0..=110.0).contains(&pause.as_secs_f64()), "{pause:?}");
        }
    }

    #[test]
    fn a_lease_is_renewed_twice_before_it_would_have_to_be_given_up() {
        assert!(2 * RENEWAL + Duration::from_secs(10) < DEADLINE && DEADLINE < TERM);
    }
}
