//! Sends one webhook: signed, to a public address, without following anybody elsewhere.

use std::error::Error;
use std::time::Duration;

use contract::signature::{ROOM_SIGNATURE, Secrets, WEBHOOK_ID, WEBHOOK_SIGNATURE, WEBHOOK_TIMESTAMP};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::address::{Forbidden, Guard, NotAWebhook};
use crate::config::Secret;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// How long the beginning of an answer's body is waited for. What counts is the status, which is there by then.
const PREVIEW_PATIENCE: Duration = Duration::from_secs(3);

/// How much of an answer's body is read, in bytes.
const PREVIEW: usize = 2048;

/// The name that receivers know.
const USER_AGENT: &str = "Reflector-Webhook/1.0";

/// The header that names the event.
const EVENT: &str = "x-webhook-event";
/// The header that counts the attempts before this one.
const RETRY: &str = "x-webhook-retry";

/// Sends webhooks.
#[derive(Debug, Clone)]
pub struct WebhookClient {
    guard: Option<Guard>,
    client: Client,
}

/// A webhook as it is sent.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Where to.
    pub url: &'a str,
    /// What it is signed with, if it is.
    pub secret: Option<&'a Secret>,
    /// Its id, which stays the same when it is sent again.
    pub id: &'a str,
    /// The event that it tells of.
    pub event: &'a str,
    /// How often it was sent before.
    pub retry: u32,
    /// The body.
    pub body: Vec<u8>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        /// With this status.
        status: u16,
        /// Asking to be left alone for this time.
        retry_after: Option<Duration>,
        /// The beginning of the body, readable; ends with an ellipsis where more followed.
        preview: String,
    },
    /// The receiver did not answer in time.
    TimedOut,
    /// No connection came about, or it broke; the reason.
    Unreachable(String),
    /// It was not sent: the address is not public. Which one it is, is not for those who entered its name.
    Forbidden(Forbidden),
    /// It was not sent, for this reason.
    Refused(String),
}

impl Outcome {
    /// Whether the receiver took it.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Answered { status: 200..=299, .. })
    }
}

impl WebhookClient {
    /// A client for addresses that users enter: those that `guard` allows.
    pub fn guarded(guard: Guard) -> reqwest::Result<Self> {
        let client = builder().dns_resolver(guard.clone()).build()?;
        Ok(Self { guard: Some(guard), client })
    }

    /// A client for addresses that the operator configures, which may be private.
    pub fn trusting() -> reqwest::Result<Self> {
        Ok(Self { guard: None, client: builder().build()? })
    }

    /// Whether this client would send to `text`, as far as that is known beforehand.
    pub fn check(&self, text: &str) -> Result<(), NotAWebhook> {
        self.guard.as_ref().map_or(Ok(()), |guard| guard.check_text(text))
    }

    /// Sends `message`, and waits for the answer for as long as `patience`.
    pub async fn send(&self, message: Message<'_>, now: OffsetDateTime, patience: Duration) -> Outcome {
        let url = match self.destination(message.url) {
            Ok(url) => url,
            Err(outcome) => return outcome,
        };
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(EVENT, message.event)
            .header(RETRY, message.retry)
            .header(WEBHOOK_ID, message.id);
        if let Some(secret) = message.secret {
            let (secrets, now) = (Secrets::one(secret.expose()), now.unix_timestamp());
            let signed = secrets.sign(message.id, now, &message.body);
            request = request
                .header(ROOM_SIGNATURE, secrets.sign_for_room(now, &message.body))
                .header(WEBHOOK_TIMESTAMP, signed.timestamp)
                .header(WEBHOOK_SIGNATURE, signed.standard);
        } else {
            request = request.header(WEBHOOK_TIMESTAMP, now.unix_timestamp());
        }
        match timeout(patience, request.body(message.body).send()).await {
            Err(_) => Outcome::TimedOut,
            Ok(Err(error)) => failure(&error.without_url()),
            Ok(Ok(answer)) => Outcome::Answered {
                status: answer.status().as_u16(),
                retry_after: retry_after(&answer),
                preview: preview(answer).await,
            },
        }
    }

    fn destination(&self, text: &str) -> Result<Url, Outcome> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let reason = "the address does not begin with https:// or http://, or names no host";
        let url = url.ok_or_else(|| Outcome::Refused(reason.to_owned()))?;
        if let Some(guard) = &self.guard {
            guard.check_host(&url).map_err(Outcome::Forbidden)?;
        }
        Ok(url)
    }
}

fn builder() -> reqwest::ClientBuilder {
    // Whoever installed one before has chosen.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        // A proxy would resolve names by itself, where nobody checks the addresses.
        .no_proxy()
        .retry(reqwest::retry::never())
        .connect_timeout(CONNECT_PATIENCE)
        // Receivers are visited rarely, and a connection that was kept may lead to where the name does not lead any more.
        .pool_max_idle_per_host(0)
}

fn failure(error: &reqwest::Error) -> Outcome {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    if let Some(forbidden) = innermost.downcast_ref::<Forbidden>() {
        Outcome::Forbidden(*forbidden)
    } else if error.is_timeout() {
        Outcome::TimedOut
    } else {
        Outcome::Unreachable(innermost.to_string())
    }
}

/// Dates are not understood: nearly everybody sends seconds.
fn retry_after(answer: &Response) -> Option<Duration> {
    answer.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

async fn preview(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    let read = async {
        while bytes.len() <= PREVIEW
            && let Ok(Some(chunk)) = answer.chunk().await
        {
            bytes.extend_from_slice(&chunk);
        }
    };
    // What has come by then is good enough.
    let _ = timeout(PREVIEW_PATIENCE, read).await;
    readable(&bytes)
}

/// The beginning of `bytes` as text, without characters that a terminal or a page would act on.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(PREVIEW)]);
    // The cut may go through a character.
    let text = if bytes.len() > PREVIEW { text.trim_end_matches(char::REPLACEMENT_CHARACTER) } else { &text };
    let is_harmless = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    let mut text: String = text.chars().map(|c| if is_harmless(c) { c } else { ' ' }).collect();
    if bytes.len() > PREVIEW {
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_short_and_holds_nothing_that_acts() {
        let long = "ä".repeat(PREVIEW);
        for (bytes, expected) in [
            (&b"ok"[..], "ok".to_owned()),
            (b"a\r\n\tb\x1b[31m\0", "a \n\tb [31m ".to_owned()),
            (b"\xff", "\u{fffd}".to_owned()),
            (&long.as_bytes()[..PREVIEW], "ä".repeat(PREVIEW / 2)),
            (&long.as_bytes()[..=PREVIEW], format!("{}…", "ä".repeat(PREVIEW / 2))),
            (&[b"x", &long.as_bytes()[..PREVIEW]].concat(), format!("x{}…", "ä".repeat(PREVIEW / 2 - 1))),
        ] {
            assert_eq!(readable(bytes), expected);
        }
    }

    #[tokio::test]
    async fn what_is_no_web_address_is_not_sent_to() {
        let client = WebhookClient::guarded(Guard::default()).unwrap();
        for url in ["", "hook", "ftp://example.com/", "file:///etc/passwd", "https://"] {
            let message =
                Message { url, secret: None, id: "msg_1", event: "test", retry: 0, body: Vec::new() };
            let outcome = client.send(message, OffsetDateTime::UNIX_EPOCH, Duration::from_secs(1)).await;
            assert!(matches!(outcome, Outcome::Refused(_)), "{url}: {outcome:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_host_is_refused_after_it_was_resolved() {
        let client = WebhookClient::guarded(Guard::default()).unwrap();
        for url in ["http://localhost:9/", "https://localhost:9/", "http://LocalHost:9/"] {
            let message =
                Message { url, secret: None, id: "msg_1", event: "test", retry: 0, body: Vec::new() };
            let outcome = client.send(message, OffsetDateTime::UNIX_EPOCH, Duration::from_secs(5)).await;
            assert!(matches!(outcome, Outcome::Forbidden(_)), "{url}: {outcome:?}");
        }
    }
}
