//! Webhooks: Whereby's signature, its five seconds, its two retries.

use std::fmt::Write as _;
use std::io;
use std::thread;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use time::OffsetDateTime;
use tokio::sync::oneshot;

use super::event::Event;

/// How long an endpoint may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pause before the first retry; it doubles. Whereby does not publish its own.
const BACKOFF: Duration = Duration::from_millis(200);
/// How often an event is tried altogether.
const ATTEMPTS: u32 = 3;

/// An event on its way.
#[derive(Debug)]
pub struct Delivery(oneshot::Receiver<Vec<Option<u16>>>);

impl Delivery {
    /// The status of each attempt, `None` where no answer came in time. Waits for the last one, in a thread.
    ///
    /// # Panics
    /// When called by a task: those await [`Delivery::attempts`].
    pub fn wait(self) -> Vec<Option<u16>> {
        self.0.blocking_recv().unwrap_or_default()
    }

    /// The status of each attempt, `None` where no answer came in time. Waits for the last one, in a task.
    pub async fn attempts(self) -> Vec<Option<u16>> {
        self.0.await.unwrap_or_default()
    }
}

/// The value of `Whereby-Signature` over a body that is sent at `timestamp`, in seconds since 1970.
///
/// # Panics
/// Never: a key may have any length.
pub fn signature(secret: &str, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length is taken");
    mac.update(format!("{timestamp}.").as_bytes());
    mac.update(body);
    let mut header = format!("t={timestamp},v1=");
    for byte in mac.finalize().into_bytes() {
        write!(header, "{byte:02x}").expect("a string takes every write");
    }
    header
}

/// Sends an event from a thread of its own.
pub(super) fn send(url: &str, secret: &str, event: &Event) -> io::Result<Delivery> {
    let (done, delivery) = oneshot::channel();
    let (url, body) = (url.to_owned(), event.body());
    let header = signature(secret, OffsetDateTime::now_utc().unix_timestamp(), body.as_bytes());
    thread::Builder::new().name("whereby-webhook".to_owned()).spawn(move || {
        // Whoever sent it may not care what came of it.
        let _ = done.send(attempt_all(&url, &header, &body));
    })?;
    Ok(Delivery(delivery))
}

/// Whether a retry carries a new timestamp is not documented. The old one asks more of the receiver.
fn attempt_all(url: &str, signature: &str, body: &str) -> Vec<Option<u16>> {
    let mut statuses = Vec::new();
    for number in 0..ATTEMPTS {
        if number > 0 {
            thread::sleep(BACKOFF * 2u32.pow(number - 1));
        }
        let status = attempt(url, signature, body);
        statuses.push(status);
        if !is_retried(status) {
            break;
        }
    }
    statuses
}

fn attempt(url: &str, signature: &str, body: &str) -> Option<u16> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .build();
    let request = ureq::Agent::from(config)
        .post(url)
        .header("Content-Type", "application/json")
        .header("Whereby-Signature", signature);
    request.send(body).ok().map(|answer| answer.status().as_u16())
}

/// A status of the server's own trouble, or none in time. Everything else is final.
fn is_retried(status: Option<u16>) -> bool {
    status.is_none_or(|status| status >= 500)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_over_the_timestamp_and_the_raw_body() {
        // printf '%s' '1700000000.{"a":"é"}' | openssl dgst -sha256 -hmac secret
        let expected = "t=1700000000,v1=4e459d52df8a9a07f8f86c6bcb2219a2c857c20cf3ad60936d25fb51063d44a3";
        assert_eq!(signature("secret", 1_700_000_000, "{\"a\":\"é\"}".as_bytes()), expected);
    }

    #[test]
    fn only_a_failure_of_the_server_is_retried() {
        for (status, expected) in
            [(Some(200), false), (Some(302), false), (Some(401), false), (Some(503), true), (None, true)]
        {
            assert_eq!(is_retried(status), expected, "{status:?}");
        }
    }
}
