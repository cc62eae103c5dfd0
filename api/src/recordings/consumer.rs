//! Takes what the storage tells of objects from the queue.
//!
//! A message is deleted once what it says is committed, and never before: a process that dies in between costs a repetition, which
//! changes nothing. Any number of replicas may do this, as the queue hands each message to one of them at a time.

use std::pin::pin;
use std::time::Duration;

use sqlx::PgPool;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::db;
use crate::db::recordings::{self, Loss, Sight, Witness};
use crate::domain::recording_notification::{self, Change, Notification};
use crate::domain::recording_object::WherebyFile;
use crate::meters;
use crate::queue::{Message, Queue};
use crate::stopping::stopped;

/// For how long a message is ours when it is handed out, and when it is held for longer.
const HOLD: Duration = Duration::from_mins(1);

/// How often what takes longer is held again.
const RENEWAL: Duration = Duration::from_secs(20);

/// The shortest and the longest pause after a failure of queue or database.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long the end of the process waits for the poll under way.
const LAST_POLL: Duration = Duration::from_secs(2);

/// How long it waits for that and the messages under way.
const FAREWELL: Duration = Duration::from_secs(5);

/// The consumer of this process.
#[derive(Debug)]
pub struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// Takes messages from `queue` until [`Running::stop`].
pub fn start(db: PgPool, queue: Queue) -> Running {
    let (stop, stopping) = watch::channel(false);
    let task = tokio::spawn(Consumer { db, queue, stopping }.run());
    Running { stop, task }
}

/// Stops a consumer, where there is one.
pub async fn stop(running: Option<Running>) {
    if let Some(running) = running {
        running.stop().await;
    }
}

impl Running {
    /// Finishes the messages under way, or gives them back.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if timeout(FAREWELL, self.task).await.is_err() {
            tracing::warn!(
                "notifications of the storage were not given back; the queue hands them out again"
            );
        }
    }
}

struct Consumer {
    db: PgPool,
    queue: Queue,
    stopping: watch::Receiver<bool>,
}

/// What a message came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// What it says is committed, or says nothing about recordings.
    Done,
    /// It cannot be read, or not be stored: the queue hands it out again, and puts it aside in the end.
    Unreadable,
    /// The process ends before the database answers.
    Unfinished,
}

impl Consumer {
    async fn run(self) {
        let mut pause = Pause::new();
        while !*self.stopping.borrow() {
            let mut receiving = pin!(self.queue.receive(HOLD));
            let received = tokio::select! {
                received = &mut receiving => received,
                // A poll that is cut off takes messages with it until their time is over.
                () = self.stopped() => match timeout(LAST_POLL, receiving).await {
                    Ok(received) => received,
                    Err(_) => return,
                },
            };
            match received {
                Ok(messages) => {
                    pause = Pause::new();
                    self.take(&messages).await;
                }
                Err(error) => {
                    let (variable, advice) = self.queue.advice(&error);
                    let wait = pause.next();
                    tracing::warn!(
                        "no notifications of the storage, next try in {} s: {error}; {variable}: {advice}",
                        wait.as_secs()
                    );
                    meters::notification("queue_unavailable");
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = self.stopped() => return,
                    }
                }
            }
        }
    }

    async fn stopped(&self) {
        stopped(&mut self.stopping.clone()).await;
    }

    /// Stores what `messages` say, and deletes those for which that is done.
    async fn take(&self, messages: &[Message]) {
        let all: Vec<_> = messages.iter().collect();
        let outcomes = tokio::select! {
            outcomes = self.store_all(messages) => outcomes,
            () = self.keep_holding(&all) => return,
        };
        let of = |wanted: Outcome| {
            let pairs = messages.iter().zip(&outcomes);
            pairs.filter(|(_, outcome)| **outcome == wanted).map(|(message, _)| message).collect::<Vec<_>>()
        };
        match self.queue.delete(&of(Outcome::Done)).await {
            Ok(0) => {}
            Ok(left) => tracing::info!("{left} notifications stay in the queue, and are read again"),
            Err(error) => tracing::info!("notifications stay in the queue, and are read again: {error}"),
        }
        let unfinished = of(Outcome::Unfinished);
        if let Err(error) = self.queue.hold(&unfinished, Duration::ZERO).await {
            tracing::info!("notifications are handed out again after a while: {error}");
        }
    }

    /// Holds messages for as long as it is polled.
    async fn keep_holding(&self, messages: &[&Message]) {
        loop {
            sleep(RENEWAL).await;
            if let Err(error) = self.queue.hold(messages, HOLD).await {
                tracing::info!("notifications may be handed out twice: {error}");
            }
        }
    }

    async fn store_all(&self, messages: &[Message]) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            outcomes.push(self.store(message).await);
        }
        outcomes
    }

    async fn store(&self, message: &Message) -> Outcome {
        let changes = match recording_notification::parse(&message.body) {
            Ok(Notification::Test) => {
                tracing::info!("the storage's notifications arrive: it sent its test");
                meters::notification("test");
                return Outcome::Done;
            }
            Ok(Notification::Objects(changes)) => changes,
            Err(error) => {
                self.complain(message, &error);
                return Outcome::Unreadable;
            }
        };
        let (sights, losses) = split(changes, OffsetDateTime::now_utc());
        let mut pause = Pause::new();
        loop {
            match self.commit(&sights, &losses).await {
                Ok(()) => {
                    let outcome = if sights.is_empty() && losses.is_empty() { "other" } else { "stored" };
                    meters::notification(outcome);
                    return Outcome::Done;
                }
                Err(error) if db::is_outage(&error) => {
                    let wait = pause.next();
                    tracing::warn!(
                        "a notification of the storage waits {} s for the database: {error}",
                        wait.as_secs()
                    );
                    tokio::select! {
                        () = sleep(wait) => {}
                        () = self.stopped() => return Outcome::Unfinished,
                    }
                }
                Err(error) => {
                    self.complain(message, &error);
                    return Outcome::Unreadable;
                }
            }
        }
    }

    async fn commit(&self, sights: &[Sight], losses: &[Loss]) -> Result<(), sqlx::Error> {
        if !sights.is_empty() {
            recordings::found(&self.db, sights, Witness::Notification).await?;
        }
        if !losses.is_empty() {
            recordings::missed(&self.db, losses).await?;
        }
        Ok(())
    }

    fn complain(&self, message: &Message, error: &dyn std::fmt::Display) {
        meters::notification("unreadable");
        tracing::warn!(
            message.id,
            deliveries = message.deliveries(),
            "a message in {} stays there: {error}; its redrive policy puts it aside",
            self.queue
        );
    }
}

/// What `changes` say about recordings by Whereby. The uploads of this service are known better by what verifies them; of those it is of
/// interest alone that one is gone.
fn split(changes: Vec<Change>, now: OffsetDateTime) -> (Vec<Sight>, Vec<Loss>) {
    let (mut sights, mut losses) = (Vec::new(), Vec::new());
    for change in changes {
        // Who tells of the future has a wrong clock, and would outdo all that is seen until then.
        let at = change.at.unwrap_or(now).min(now);
        if !change.is_there {
            losses.push(Loss { bucket: change.bucket, key: change.key, at });
        } else if let Some(file) = WherebyFile::parse(&change.key) {
            let Change { bucket, key, size_bytes, .. } = change;
            sights.push(Sight { file, bucket, key, size_bytes, written_at: at, seen_at: at });
        }
    }
    (sights, losses)
}

/// Pauses that double, with some chance in them, so that replicas do not come back together.
struct Pause(Duration);

impl Pause {
    fn new() -> Self {
        Self(SHORTEST_PAUSE)
    }

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(LONGEST_PAUSE);
        pause.mul_f64(0.75 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn pauses_grow_to_a_minute() {
        let mut pause = Pause::new();
        let pauses: Vec<_> = std::iter::repeat_with(|| pause.next()).take(9).collect();
        assert!(pauses[0] < Duration::from_millis(1250) && pauses[0] >= Duration::from_millis(750));
        assert!(pauses[8] >= Duration::from_secs(45) && pauses[8] <= Duration::from_secs(75));
    }

    #[test]
    fn only_whereby_s_objects_are_found_and_any_may_be_lost() {
        let now = datetime!(2026-03-01 12:00 UTC);
        let change = |key: &str, is_there, at| Change {
            bucket: "b".into(),
            key: key.into(),
            is_there,
            size_bytes: None,
            at,
        };
        let future = datetime!(2030-01-01 00:00 UTC);
        let (sights, losses) = split(
            vec![
                change("r-2026-03-01T10:02:20Z.mp4", true, Some(future)),
                change("jitsi/r/s/0123/f.mp4", true, None),
                change("jitsi/r/s/0123/f.mp4", false, None),
            ],
            now,
        );
        assert_eq!(
            sights.iter().map(|s| (s.key.as_str(), s.seen_at)).collect::<Vec<_>>(),
            [("r-2026-03-01T10:02:20Z.mp4", now)]
        );
        assert_eq!(losses, [Loss { bucket: "b".into(), key: "jitsi/r/s/0123/f.mp4".into(), at: now }]);
    }
}
