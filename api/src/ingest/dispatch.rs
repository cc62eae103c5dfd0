//! Decides when what waits becomes a group.

use contract::event::Event;
use host::pulse::Pulses;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant, interval, sleep_until};

use super::outcome::Outcome;
use super::store::Store;
use super::{Answer, Request, StoreError};

/// The most events in a group, unless a single request brings more.
const MAX_GROUP: usize = 1000;

/// The most groups under way at the same time.
const MAX_UNDER_WAY: usize = 2;

/// How many events must wait for a second group to be worth it. Few events gain more from waiting for the group before them, with
/// which they would compete for the processor; many fill it while that one is written to disk.
const ENOUGH_FOR_ANOTHER: usize = 250;

/// How many requests must wait for the same. Each of them is a sender that does nothing before its answer.
const ENOUGH_REQUESTS: usize = 12;

/// The longest that a group waits for company.
const MAX_LULL: Duration = Duration::from_millis(5);

/// How often this turns at least, and how long it may not: what it does itself takes no time.
const TURN: (Duration, Duration) = (Duration::from_secs(15), Duration::from_mins(1));

/// Stores what arrives until nothing can arrive any more and everything is answered.
pub(super) async fn run(
    mut arriving: mpsc::UnboundedReceiver<Request>,
    options: PgConnectOptions,
    pulses: Pulses,
) {
    let pulse = pulses.pulse("ingest.dispatch", TURN.1);
    let mut turns = interval(TURN.0);
    let store = || Store::new(options.clone(), &pulses);
    let mut idle: Vec<Store> = (0..MAX_UNDER_WAY).map(|_| store()).collect();
    let mut under_way: JoinSet<Finished> = JoinSet::new();
    let mut waiting = Waiting::default();
    let mut lull = Lull { enough: 1, until: Instant::now() };
    let mut is_open = true;
    while is_open || !waiting.requests.is_empty() || !under_way.is_empty() {
        pulse.beat();
        tokio::select! {
            request = arriving.recv(), if is_open && waiting.events < MAX_GROUP => match request {
                Some(request) => {
                    waiting.push(request);
                    waiting.take_what_is_there(&mut arriving);
                }
                None => is_open = false,
            },
            Some(finished) = under_way.join_next() => match finished {
                Ok(finished) => {
                    lull = Lull::after(&finished, waiting.requests.len(), Instant::now());
                    idle.push(finished.store);
                }
                // A panic takes its connection and its requests with it; they see that nobody answers.
                Err(_) => idle.push(store()),
            },
            () = sleep_until(lull.until), if under_way.is_empty() && !waiting.requests.is_empty() => {}
            _ = turns.tick() => {}
        }
        while is_time_for_a_group(&waiting, under_way.len(), lull, Instant::now())
            && let Some(store) = idle.pop()
        {
            under_way.spawn(serve(store, std::mem::take(&mut waiting).requests));
        }
    }
    pulse.rest();
}

fn is_time_for_a_group(waiting: &Waiting, under_way: usize, lull: Lull, now: Instant) -> bool {
    let requests = waiting.requests.len();
    if under_way == 0 {
        return requests > 0 && (requests >= lull.enough || now >= lull.until);
    }
    let much_waits = waiting.events >= ENOUGH_FOR_ANOTHER || requests >= ENOUGH_REQUESTS;
    much_waits && under_way < MAX_UNDER_WAY
}

/// A short wait between two groups. Senders that were just answered tend to send again at once; what waits already goes together
/// with that, in one commit instead of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lull {
    /// It ends when so many requests wait.
    enough: usize,
    /// It ends then in any case.
    until: Instant,
}

impl Lull {
    /// Everybody who was answered or waits is expected again, for at most half the time that a group takes: what is waited for
    /// must be worth more than the wait. A lone sender is never waited for.
    fn after(finished: &Finished, waiting: usize, now: Instant) -> Self {
        let took = now.saturating_duration_since(finished.begun);
        Self { enough: finished.requests + waiting, until: now + (took / 2).min(MAX_LULL) }
    }
}

/// A group that was stored and answered.
struct Finished {
    store: Store,
    requests: usize,
    begun: Instant,
}

/// Requests that are not in a group yet.
#[derive(Default)]
struct Waiting {
    requests: Vec<Request>,
    events: usize,
}

impl Waiting {
    fn push(&mut self, request: Request) {
        self.events += request.events.len();
        self.requests.push(request);
    }

    fn take_what_is_there(&mut self, arriving: &mut mpsc::UnboundedReceiver<Request>) {
        while self.events < MAX_GROUP
            && let Ok(request) = arriving.try_recv()
        {
            self.push(request);
        }
    }
}

/// Stores the events of all requests together and answers each. Those whose caller has given up are left out.
async fn serve(mut store: Store, requests: Vec<Request>) -> Finished {
    let begun = Instant::now();
    let mut events: Vec<Event> =
        Vec::with_capacity(requests.iter().map(|request| request.events.len()).sum());
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests.into_iter().filter(|request| !request.answer.is_closed()) {
        answers.push((request.events.len(), request.answer, request.share));
        events.extend(request.events);
    }
    let requests = answers.len();
    answer(store.all(&events).await, answers);
    Finished { store, requests, begun }
}

/// Hands each request its own outcomes. One whose caller has gone away is sent again, and gets `duplicate` then.
fn answer(result: Result<Vec<Outcome>, StoreError>, answers: Vec<(usize, Answer, OwnedSemaphorePermit)>) {
    match result {
        Ok(outcomes) => {
            let mut outcomes = outcomes.into_iter();
            for (count, answer, _share) in answers {
                let _ = answer.send(Ok(outcomes.by_ref().take(count).collect()));
            }
        }
        Err(error) => {
            for (_, answer, _share) in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::{Semaphore, oneshot};

    use super::*;

    fn waiting(requests: usize, events_each: usize) -> Waiting {
        let mut waiting = Waiting::default();
        let room_left = Arc::new(Semaphore::new(requests));
        for _ in 0..requests {
            let event = Event::parse(br#"{"event":"e","room":"r","timestamp":0}"#).unwrap();
            waiting.push(Request {
                events: vec![event; events_each],
                answer: oneshot::channel().0,
                share: Arc::clone(&room_left).try_acquire_owned().unwrap(),
            });
        }
        waiting
    }

    #[test]
    fn a_group_goes_when_enough_wait_or_the_lull_is_over_and_a_second_only_when_much_waits() {
        let now = Instant::now();
        let lull = Lull { enough: 3, until: now };
        let before = now.checked_sub(Duration::from_millis(1)).unwrap();
        for (requests, events_each, under_way, at, expected) in [
            (0, 0, 0, now, false),
            (1, 1, 0, now, true),
            (2, 1, 0, before, false),
            (3, 1, 0, before, true),
            (3, 1, 1, now, false),
            (1, ENOUGH_FOR_ANOTHER - 1, 1, now, false),
            (1, ENOUGH_FOR_ANOTHER, 1, before, true),
            (ENOUGH_REQUESTS - 1, 1, 1, now, false),
            (ENOUGH_REQUESTS, 1, 1, before, true),
            (1, MAX_GROUP, MAX_UNDER_WAY, now, false),
        ] {
            let is_time = is_time_for_a_group(&waiting(requests, events_each), under_way, lull, at);
            assert_eq!(is_time, expected, "{requests} × {events_each} waiting, {under_way} under way");
        }
    }

    #[tokio::test]
    async fn a_lone_sender_is_never_waited_for_and_nobody_for_long() {
        let now = Instant::now();
        let finished = |requests, took| Finished {
            store: Store::new(PgConnectOptions::new_without_pgpass(), &Pulses::default()),
            requests,
            begun: now.checked_sub(took).unwrap(),
        };
        let milliseconds = Duration::from_millis;
        let alone = Lull::after(&finished(1, milliseconds(1)), 0, now);
        assert!(is_time_for_a_group(&waiting(1, 1), 0, alone, now));
        let busy = Lull::after(&finished(16, milliseconds(1)), 15, now);
        assert_eq!(busy, Lull { enough: 31, until: now + Duration::from_micros(500) });
        let slow = Lull::after(&finished(16, milliseconds(900)), 15, now);
        assert_eq!(slow.until, now + MAX_LULL);
    }
}
