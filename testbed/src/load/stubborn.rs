//! Senders that do not give up: each event is sent until it is acknowledged, the next one after that, as the agent does.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use contract::batch;
use contract::signature::{self, Secrets};
use time::OffsetDateTime;

use super::Lines;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a failure. Short: what is tested is the other side.
const PAUSE: Duration = Duration::from_millis(20);

/// Senders at work, one for each supply of lines.
#[derive(Debug)]
pub struct Stubborn {
    shared: Arc<Shared>,
    senders: Vec<JoinHandle<Result<()>>>,
}

#[derive(Debug)]
struct Shared {
    url: String,
    secrets: Secrets,
    is_over: AtomicBool,
    seen: Mutex<Seen>,
}

/// What the senders have seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The ids that were acknowledged, in that order.
    pub acknowledged: Vec<String>,
    /// How many answers had each status.
    pub statuses: BTreeMap<u16, usize>,
    /// Answers with 503 that did not say when to come again.
    pub without_retry_after: usize,
    /// Requests that got no answer.
    pub unanswered: usize,
}

impl Stubborn {
    /// Begins to send to the API at `url`.
    pub fn start(url: &str, secret: &str, supplies: Vec<Lines>) -> Result<Self> {
        let shared = Arc::new(Shared {
            url: format!("{url}/v1/jitsi/events"),
            secrets: Secrets::parse(secret)?,
            is_over: AtomicBool::new(false),
            seen: Mutex::default(),
        });
        let work = |lines| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.send_all(lines))
        };
        let senders = supplies.into_iter().map(work).collect();
        Ok(Self { shared, senders })
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }

    /// Lets each sender finish its event, and returns what was seen.
    pub fn finish(mut self) -> Result<Seen> {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for sender in self.senders.drain(..) {
            sender.join().ok().context("a sender panicked")??;
        }
        Ok(self.shared.seen().clone())
    }
}

impl Drop for Stubborn {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn send_all(&self, mut lines: Lines) -> Result<()> {
        let config =
            ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).http_status_as_error(false).build();
        let client = ureq::Agent::from(config);
        while !self.is_over.load(Ordering::SeqCst) {
            let line = lines.next_at(OffsetDateTime::now_utc());
            let mut attempts = 0;
            while !self.attempt(&client, &line.id, line.text.as_bytes()) {
                attempts += 1;
                let is_hopeless = attempts > 1_000 || self.is_over.load(Ordering::SeqCst) && attempts > 100;
                anyhow::ensure!(!is_hopeless, "{} was not acknowledged in {attempts} attempts", line.id);
                thread::sleep(PAUSE);
            }
        }
        Ok(())
    }

    /// Sends an event once; whether it was acknowledged.
    fn attempt(&self, client: &ureq::Agent, id: &str, body: &[u8]) -> bool {
        let now = OffsetDateTime::now_utc().unix_timestamp();
        let signed = self.secrets.sign(id, now, body);
        let request = client
            .post(&self.url)
            .header("content-type", batch::JSON)
            .header(signature::JITSI_SIGNATURE, &signed.jitsi)
            .header(signature::WEBHOOK_ID, id)
            .header(signature::WEBHOOK_TIMESTAMP, &signed.timestamp)
            .header(signature::WEBHOOK_SIGNATURE, &signed.standard);
        let answer = request.send(body);
        let mut seen = self.seen();
        let Ok(answer) = answer else {
            seen.unanswered += 1;
            return false;
        };
        let status = answer.status().as_u16();
        *seen.statuses.entry(status).or_default() += 1;
        if status == 503 && !answer.headers().contains_key("retry-after") {
            seen.without_retry_after += 1;
        }
        if status == 200 {
            seen.acknowledged.push(id.to_owned());
        }
        status == 200
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::{Faults, Ledger, Refusal, Sink};

    #[test]
    fn an_event_is_sent_until_it_is_acknowledged_and_then_the_next() {
        let sink = Sink::start().unwrap();
        sink.set_faults(Faults { refuse_all: Some(Refusal::proxy_page(503)), ..Faults::default() });
        let senders = Stubborn::start(&sink.url(), "secret", vec![Lines::in_rooms(1, 1)]).unwrap();
        let refused = || senders.seen().statuses.get(&503).is_some_and(|count| *count > 2);
        assert!(crate::wait::eventually(Duration::from_secs(10), refused));
        assert!(senders.seen().acknowledged.is_empty());
        sink.set_faults(Faults::default());
        let taken = || senders.seen().acknowledged.len() > 2;
        assert!(crate::wait::eventually(Duration::from_secs(10), taken));
        let seen = senders.finish().unwrap();
        assert_eq!(sink.ledger(Ledger::distinct), seen.acknowledged.len());
        assert_eq!(sink.ledger(Ledger::duplicates), 0);
        assert_eq!(seen.without_retry_after, seen.statuses[&503]);
    }
}
