//! Sends deliveries until each is delivered or parked.
//!
//! A process leases a receiver and sends what is due for it, one after the other; so one that hangs holds up nobody else, and what it
//! gets is in order as long as it takes it at the first attempt.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::body::{RECORDING_READY, with_link};
use super::client::{Message, Outcome, WebhookClient};
use super::verdict::{Verdict, silence, verdict};
use super::{Target, Webhooks};
use crate::config::Secret;
use crate::db::webhook_deliveries::{self as deliveries, Attempt, Delivery, Reception, Settlement};
use crate::db::{is_outage, recordings, rooms};
use crate::meters;
use crate::stopping::stopped;

/// How many rooms one process sends to at a time. The pipeline has a lane of its own: whoever may make rooms must not be able to hold it up.
const LANES: usize = 16;

/// How long a receiver may take for its answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a receiver that nobody sends to any more is somebody's: longer than an attempt can take.
const TERM: Duration = Duration::from_mins(1);

/// How often it is looked for what is due; what this process makes is sent at once.
const PAUSE: Duration = Duration::from_secs(2);

/// How long attempts that are under way may go on when the process is to end.
const GRACE: Duration = Duration::from_secs(5);

/// The sending of one process.
pub struct Sending {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Sending {
    /// Lets attempts that are under way come to an end, for a while, and gives all receivers back.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if timeout(GRACE * 2, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// Where a delivery goes.
enum Destination<'a> {
    Known {
        client: &'a WebhookClient,
        url: String,
        secret: Option<Secret>,
    },
    /// Nowhere any more, for this reason.
    Gone(&'static str),
}

/// What a process sends at present.
#[derive(Default)]
struct Lanes {
    rooms: JoinSet<()>,
    pipeline: JoinSet<()>,
}

impl Lanes {
    /// Completes when one has come to its end; never when there is none.
    async fn one_ended(&mut self) {
        tokio::select! {
            Some(_) = self.rooms.join_next() => {}
            Some(_) = self.pipeline.join_next() => {}
            else => std::future::pending().await,
        }
    }

    /// Completes when all have.
    async fn all_ended(&mut self) {
        while self.rooms.join_next().await.is_some() || self.pipeline.join_next().await.is_some() {}
    }
}

impl Webhooks {
    /// Sends whatever is due, until [`Sending::stop`].
    pub fn start(&self) -> Sending {
        let (stop, stopping) = watch::channel(false);
        Sending { stop, task: tokio::spawn(self.clone().keep_sending(stopping)) }
    }

    async fn keep_sending(self, mut stopping: watch::Receiver<bool>) {
        let mut lanes = Lanes::default();
        while !*stopping.borrow() {
            if let Err(error) = self.dispatch(&mut lanes, &stopping).await
                && !is_outage(&error)
            {
                tracing::warn!("webhooks wait: {error}");
            }
            tokio::select! {
                () = sleep(PAUSE) => {}
                () = self.wake.notified() => {}
                () = lanes.one_ended() => {}
                () = stopped(&mut stopping) => {}
            }
        }
        lanes.all_ended().await;
    }

    /// Makes deliveries of what is to be told, and begins to send to receivers that something is due for.
    async fn dispatch(&self, lanes: &mut Lanes, stopping: &watch::Receiver<bool>) -> Result<(), sqlx::Error> {
        // What waits already is sent whatever becomes of what is new.
        let announced = self.announce().await;
        for (lanes, is_pipeline, most) in [(&mut lanes.pipeline, true, 1), (&mut lanes.rooms, false, LANES)] {
            while lanes.try_join_next().is_some() {}
            let free = i64::try_from(most.saturating_sub(lanes.len())).unwrap_or(0);
            let lease = Uuid::new_v4().simple().to_string();
            for target in deliveries::lease(&self.db, &lease, TERM, is_pipeline, free).await? {
                lanes.spawn(self.clone().keep_lane(target, lease.clone(), stopping.clone()));
            }
        }
        announced
    }

    /// Sends to one receiver what is due for it, and gives it back.
    async fn keep_lane(self, target: String, lease: String, mut stopping: watch::Receiver<bool>) {
        let mut until_cut = stopping.clone();
        let cut = async {
            stopped(&mut until_cut).await;
            sleep(GRACE).await;
        };
        let work = async {
            while !*stopping.borrow_and_update() {
                match self.send_next(&target, &lease).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::debug!(target, "webhooks to a receiver wait: {error}");
                        break;
                    }
                }
            }
        };
        tokio::select! {
            () = work => {}
            () = cut => {}
        }
        if let Err(error) = deliveries::release(&self.db, &target, &lease).await {
            tracing::debug!(target, "a receiver of webhooks is not given back: {error}");
        }
    }

    /// Sends the next delivery that is due for the receiver; `false` when there is none, or the receiver is not ours any more.
    async fn send_next(&self, target: &str, lease: &str) -> Result<bool, sqlx::Error> {
        let Some(delivery) = deliveries::begin(&self.db, target, lease, TERM).await? else {
            return Ok(false);
        };
        let began = Instant::now();
        let outcome = self.attempt(target, &delivery).await?;
        let attempt = Attempt::new(began.elapsed(), &outcome);
        meters::webhook(outcome.is_success(), attempt.duration);
        let age = Duration::try_from_secs_f64(delivery.age_seconds).unwrap_or_default();
        let settlement = match verdict(&outcome, delivery.attempt_since.unsigned_abs(), age) {
            Verdict::Delivered => Settlement::Delivered,
            Verdict::Retry(pause) => Settlement::Retry(jittered(pause)),
            Verdict::Park(reason) => {
                tracing::warn!(delivery.id, delivery.event, target, "a webhook is parked: {reason}");
                Settlement::Parked(reason)
            }
        };
        let failures = match outcome {
            Outcome::TimedOut | Outcome::Unreachable(_) => delivery.failures.unsigned_abs() + 1,
            Outcome::Answered { .. } | Outcome::Forbidden(_) | Outcome::Refused(_) => 0,
        };
        let reception = Reception { failures, silence: silence(&outcome, failures) };
        deliveries::settle(&self.db, target, lease, &delivery, &attempt, &settlement, reception).await
    }

    async fn attempt(&self, target: &str, delivery: &Delivery) -> Result<Outcome, sqlx::Error> {
        let (client, url, secret) = match self.destination(target).await? {
            Destination::Known { client, url, secret } => (client, url, secret),
            Destination::Gone(reason) => return Ok(Outcome::Refused(reason.to_owned())),
        };
        let now = OffsetDateTime::now_utc();
        let body = match self.with_recording(delivery, now).await? {
            Ok(body) => body,
            Err(reason) => return Ok(Outcome::Refused(reason.to_owned())),
        };
        let message = Message {
            url: &url,
            secret: secret.as_ref(),
            id: &delivery.id,
            event: &delivery.event,
            retry: delivery.attempt.unsigned_abs().saturating_sub(1),
            body: body.into_bytes(),
        };
        Ok(client.send(message, now, PATIENCE).await)
    }

    /// Where the receiver is now: its address may have changed since the delivery was made.
    async fn destination(&self, target: &str) -> Result<Destination<'_>, sqlx::Error> {
        let room = match (Target::parse(target), &self.pipeline) {
            (Some(Target::Pipeline), Some((pipeline, client))) => {
                let url = pipeline.url.expose().to_owned();
                return Ok(Destination::Known { client, url, secret: Some(pipeline.secret.clone()) });
            }
            (Some(Target::Pipeline), None) => {
                return Ok(Destination::Gone("no pipeline is configured any more (PIPELINE_WEBHOOK_URL)"));
            }
            (Some(Target::Room(id)), _) => rooms::find(&self.db, id).await?,
            (None, _) => None,
        };
        let Some(room) = room else { return Ok(Destination::Gone("the room is gone")) };
        let secret = room.webhook_secret.map(Secret::new);
        Ok(match room.webhook_url {
            Some(url) => Destination::Known { client: &self.rooms, url, secret },
            None => Destination::Gone("the room has no webhook any more"),
        })
    }

    /// The body; with an address for the recording, if the delivery tells of one. An error says why the recording is handed to nobody.
    async fn with_recording(
        &self,
        delivery: &Delivery,
        now: OffsetDateTime,
    ) -> Result<Result<String, &'static str>, sqlx::Error> {
        if delivery.event != RECORDING_READY {
            return Ok(Ok(delivery.body.clone()));
        }
        let Some((file, _)) = recordings::find(&self.db, &delivery.subject_id).await? else {
            return Ok(Err("the recording is gone"));
        };
        if file.is_withheld {
            return Ok(Err(deliveries::WITHHELD));
        }
        if !file.is_available() {
            return Ok(Err("the recording is not in the storage any more"));
        }
        let link = self.storage.as_ref().and_then(|storage| storage.link(&file, now));
        Ok(Ok(with_link(&delivery.body, link.as_ref())))
    }
}

impl Attempt {
    fn new(duration: Duration, outcome: &Outcome) -> Self {
        let (status, error, preview) = match outcome {
            Outcome::Answered { status, preview, .. } => {
                let error = (!outcome.is_success()).then(|| format!("the receiver answered {status}"));
                (Some(*status), error, Some(preview.clone()))
            }
            Outcome::TimedOut => {
                (None, Some(format!("no answer within {} seconds", PATIENCE.as_secs())), None)
            }
            Outcome::Unreachable(reason) => {
                (None, Some(format!("the receiver was not reached: {reason}")), None)
            }
            Outcome::Forbidden(forbidden) => (None, Some(format!("not sent: {forbidden}")), None),
            Outcome::Refused(reason) => (None, Some(format!("not sent: {reason}")), None),
        };
        Self { duration, status, error, preview }
    }
}

/// What failed together is not tried again together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(1.0 + 0.1 * fastrand::f64())
}
