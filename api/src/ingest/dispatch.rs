//! Decides when what waits becomes a group.

use contract::event::Event;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::outcome::Outcome;
use super::store::Store;
use super::{Request, StoreError};

/// The most events in a group, unless a single request brings more.
const MAX_GROUP: usize = 1000;

/// The most groups under way at the same time.
const MAX_UNDER_WAY: usize = 2;

/// How many events must wait for a second group to be worth it. Few events gain more from waiting for the group before them, with
/// which they would compete for the processor; many fill it while that one is written to disk.
const ENOUGH_FOR_ANOTHER: usize = 250;

/// Stores what arrives until nothing can arrive any more and everything is answered.
pub(super) async fn run(mut arriving: mpsc::UnboundedReceiver<Request>, options: PgConnectOptions) {
    let mut idle: Vec<Store> = (0..MAX_UNDER_WAY).map(|_| Store::new(options.clone())).collect();
    let mut under_way: JoinSet<Store> = JoinSet::new();
    let mut waiting = Waiting::default();
    let mut is_open = true;
    while is_open || !waiting.requests.is_empty() || !under_way.is_empty() {
        tokio::select! {
            request = arriving.recv(), if is_open && waiting.events < MAX_GROUP => {
                is_open = request.is_some();
                request.into_iter().for_each(|request| waiting.push(request));
                waiting.take_what_is_there(&mut arriving);
            }
            Some(finished) = under_way.join_next() => {
                // A panic takes its connection and its requests with it; they see that nobody answers.
                idle.push(finished.unwrap_or_else(|_| Store::new(options.clone())));
            }
        }
        while is_time_for_a_group(waiting.events, under_way.len())
            && let Some(store) = idle.pop()
        {
            under_way.spawn(serve(store, std::mem::take(&mut waiting).requests));
        }
    }
}

fn is_time_for_a_group(waiting: usize, under_way: usize) -> bool {
    match under_way {
        0 => waiting > 0,
        _ => waiting >= ENOUGH_FOR_ANOTHER && under_way < MAX_UNDER_WAY,
    }
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

/// Stores the events of all requests together and answers each.
async fn serve(mut store: Store, requests: Vec<Request>) -> Store {
    let mut events: Vec<Event> =
        Vec::with_capacity(requests.iter().map(|request| request.events.len()).sum());
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.push((request.events.len(), request.answer));
        events.extend(request.events);
    }
    answer(store.all(&events).await, answers);
    store
}

type Answer = oneshot::Sender<Result<Vec<Outcome>, StoreError>>;

/// Hands each request its own outcomes. One whose caller has gone away is sent again, and gets `duplicate` then.
fn answer(result: Result<Vec<Outcome>, StoreError>, answers: Vec<(usize, Answer)>) {
    match result {
        Ok(outcomes) => {
            let mut outcomes = outcomes.into_iter();
            for (count, answer) in answers {
                let _ = answer.send(Ok(outcomes.by_ref().take(count).collect()));
            }
        }
        Err(error) => {
            for (_, answer) in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_goes_at_once_and_a_second_only_when_much_waits() {
        for (waiting, under_way, expected) in [
            (0, 0, false),
            (1, 0, true),
            (1, 1, false),
            (ENOUGH_FOR_ANOTHER - 1, 1, false),
            (ENOUGH_FOR_ANOTHER, 1, true),
            (MAX_GROUP, MAX_UNDER_WAY, false),
        ] {
            assert_eq!(is_time_for_a_group(waiting, under_way), expected, "{waiting} {under_way}");
        }
    }
}
