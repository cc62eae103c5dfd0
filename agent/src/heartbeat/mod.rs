//! The sign of life: every half minute the API hears what waits on this host, and its answer tells how our clock is.
//!
//! A heartbeat is worth nothing later, so it is not kept: one that does not arrive is followed by the next. Against an API
//! that knows no heartbeats it goes quiet. That they fail is said: a quiet host has nothing else to learn it from.

mod gather;
mod pulse;
pub mod roles;

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use contract::batch;
use contract::heartbeat::{self, HeartbeatReply};
use contract::problem::code_of_body;
use contract::verdict::Outcome;
use hyper::{Method, StatusCode, Uri};
use serde_json::json;

pub use self::gather::{Gatherer, free_space};
use self::pulse::{Fate, Loss, Pulse};
use crate::chain::Chain;
use crate::clock::{ApiClock, now_ms};
use crate::delivery::client;
use crate::http::{self, HttpError};
use crate::outbox::fact::{self, Fact};
use crate::outbox::{Outbox, OutboxError};
use crate::secret::SharedSecret;

/// How often the API hears from us.
const EVERY: Duration = Duration::from_secs(30);

/// How soon an API that knows no heartbeats is asked again: it may be upgraded.
const QUIET: Duration = Duration::from_hours(1);

/// How long one may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A change of the clocks' difference that is worth writing down, in milliseconds.
const NEWS: u64 = 5_000;

/// The heartbeat of a running agent.
pub struct Heart {
    gatherer: Option<Gatherer>,
    http: http::Client,
    uri: Uri,
    secret: SharedSecret,
    outbox: Outbox,
    clock: ApiClock,
    /// By how much our clock was ahead of the API's, when that was written down last.
    offset: Option<i64>,
    /// How the heartbeats fare.
    pulse: Pulse,
}

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// The API's time, in milliseconds since 1970.
    Time(i64),
    /// It knows no heartbeats.
    Unknown,
    /// Something else.
    Trouble,
}

impl Heart {
    /// A heart that beats to the API at `base`.
    pub fn new(
        gatherer: Gatherer,
        http: http::Client,
        base: &str,
        secret: SharedSecret,
        outbox: Outbox,
        clock: ApiClock,
    ) -> anyhow::Result<Self> {
        let uri = format!("{}{}", base.trim_end_matches('/'), heartbeat::PATH).parse()?;
        Ok(Self {
            gatherer: Some(gatherer),
            http,
            uri,
            secret,
            outbox,
            clock,
            offset: None,
            pulse: Pulse::default(),
        })
    }

    /// Beats for as long as it is polled.
    pub async fn beat(mut self) -> Infallible {
        let mut secrets = self.secret.changes();
        loop {
            let fate = self.once().await;
            let pause = if fate == Some(Fate::NotKnown) { QUIET } else { EVERY };
            if let Some(fate) = fate {
                self.pulse.feel(fate, now_ms(), &self.outbox);
            }
            // Whoever mends the secret need not wait to see that it is right.
            let _ = tokio::time::timeout(pause, secrets.changed()).await;
        }
    }

    /// The fate of one heartbeat; `None` when there is none because it panicked, which was said.
    async fn once(&mut self) -> Option<Fate> {
        let body = match self.gather().await? {
            Ok(body) => body,
            Err(error) => return Some(unread(&error)),
        };
        let sent = now_ms();
        let secret = self.secret.current();
        let id = format!("hb_{}_{sent}", self.outbox.host_id());
        let request = http::signed(
            Method::POST,
            self.uri.clone(),
            &secret,
            &id,
            sent.div_euclid(1000),
            batch::JSON,
            body,
        );
        let answer: Result<http::Answer, HttpError> = self.http.exchange(request, TIMEOUT).await;
        let received = now_ms();
        let is_named = secret.agent.is_some();
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => return Some(unanswered(&error)),
        };
        Some(match heard(answer.head.status, &answer.body) {
            Heard::Time(theirs) => {
                let took = received.saturating_sub(sent);
                self.clock.learn(theirs, sent + took / 2, took);
                self.note_clock(received);
                Fate::Taken
            }
            Heard::Unknown => Fate::NotKnown,
            Heard::Trouble => not_taken(answer.head.status.as_u16(), &answer.body, is_named),
        })
    }

    /// What is to be said; an error when the outbox cannot be read now.
    async fn gather(&mut self) -> Option<Result<Bytes, OutboxError>> {
        let gatherer = self.gatherer.take()?;
        // Counting a long backlog takes longer than a delivery should wait.
        let work = tokio::task::spawn_blocking(move || {
            let said = gatherer.gather(now_ms());
            (gatherer, said)
        });
        let panicked = |_: &_| {
            tracing::error!(
                "the heartbeat panicked; the API hears nothing more of this host until the agent restarts"
            );
        };
        let (gatherer, said) = work.await.inspect_err(panicked).ok()?;
        self.gatherer = Some(gatherer);
        match said {
            Ok(said) => serde_json::to_vec(&said).ok().map(|body| Ok(Bytes::from(body))),
            Err(error) => Some(Err(error)),
        }
    }

    /// Writes down how far the clocks are from each other, for `status`, when that is news.
    fn note_clock(&mut self, now: i64) {
        let offset = self.clock.offset_ms();
        let Some(offset) = offset.filter(|offset| is_news(self.offset, *offset)) else { return };
        let said = Fact { at: now, body: json!({ "offset_ms": offset }).to_string() };
        match self.outbox.say(fact::CLOCK, &said) {
            Ok(()) => self.offset = Some(offset),
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "the clock's offset could not be written down");
            }
        }
    }
}

/// Whether an offset says something that the one before did not.
fn is_news(before: Option<i64>, offset: i64) -> bool {
    before.is_none_or(|before| before.abs_diff(offset) > NEWS)
}

fn heard(status: StatusCode, body: &[u8]) -> Heard {
    match (status, serde_json::from_slice::<HeartbeatReply>(body)) {
        (status, Ok(reply)) if status.is_success() => {
            let nanoseconds = reply.server_time.unix_timestamp_nanos();
            Heard::Time(i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX))
        }
        (StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED, _) => Heard::Unknown,
        _ => Heard::Trouble,
    }
}

/// The fate of a heartbeat that could not be put together.
fn unread(error: &OutboxError) -> Fate {
    let note = format!("the outbox cannot be read: {}", Chain(error));
    let next = "`reflector-agent doctor` says what is wrong with the outbox";
    Fate::Lost(Loss { status: None, brief: note.clone(), note, next })
}

/// The fate of one that nobody answered.
fn unanswered(error: &HttpError) -> Fate {
    let note = Chain(error).to_string();
    Fate::Lost(Loss { status: None, brief: note.clone(), note, next: error.next_step() })
}

/// The fate of one that was answered, but not taken. `is_named`: whether the agent says which one it is.
fn not_taken(status: u16, body: &[u8], is_named: bool) -> Fate {
    let outcome = Outcome::Answered { status, code: code_of_body(body), retry_after: None };
    let note = client::explanation(status, body);
    let next = client::next_step(outcome, None, is_named);
    Fate::Lost(Loss { status: Some(status), brief: client::brief(outcome, &note), note, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_offset_is_news_and_a_little_more_of_it_is_not() {
        for (before, now, expected) in [
            (None, 0, true),
            (Some(0), 5000, false),
            (Some(0), -5001, true),
            (Some(i64::MIN), i64::MAX, true),
        ] {
            assert_eq!(is_news(before, now), expected, "{before:?} {now}");
        }
    }

    #[test]
    fn only_our_apis_words_tell_the_time() {
        let time = r#"{"status":"ok","server_time":"2026-01-31T10:00:00.000Z"}"#;
        for (status, body, expected) in [
            (200, time, Heard::Time(1_769_853_600_000)),
            (200, "<html>Please log in</html>", Heard::Trouble),
            (404, r#"{"detail":"Not Found"}"#, Heard::Unknown),
            (405, "", Heard::Unknown),
            (401, time, Heard::Trouble),
            (503, "", Heard::Trouble),
        ] {
            assert_eq!(heard(StatusCode::from_u16(status).unwrap(), body.as_bytes()), expected, "{status}");
        }
    }
}
