//! The two signatures that every delivery carries.
//!
//! - The guide's: `X-Jitsi-Signature`, the lower-case hexadecimal HMAC-SHA256 of the raw body. It proves who wrote the
//!   body, not when, so whoever sees one request can replay it.
//! - [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and `webhook-signature`,
//!   `v1,` and the base64 HMAC-SHA256 of `id.timestamp.body`. It dates the request, which is what stops replays.
//!
//! Verification works on raw bytes, before anything is parsed, and compares in constant time. A shared secret is used
//! as the key byte for byte; a secret in `whsec_` form is not decoded, so both schemes share one key.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::id::hex;

/// The header of the guide's signature.
pub const JITSI_SIGNATURE: &str = "x-jitsi-signature";
/// The header with the delivery's id (Standard Webhooks).
pub const WEBHOOK_ID: &str = "webhook-id";
/// The header with the signing time in whole seconds since 1970 (Standard Webhooks).
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// The header with one or more space-separated signatures (Standard Webhooks).
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";
/// The header of the signature of a room's webhook, which goes out.
pub const ROOM_SIGNATURE: &str = "x-webhook-signature";
/// The header that names an enrolled agent, whose own secret then verifies.
pub const AGENT: &str = "x-reflector-agent";

/// How far a signature's timestamp may lie from the verifier's clock, either way.
pub const TOLERANCE: Duration = Duration::from_mins(5);

/// The shared secrets: the first signs, every one of them verifies. Never printed.
#[derive(Clone)]
pub struct Secrets(Vec<Hmac<Sha256>>);

/// A list of secrets without a secret in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no webhook secret is configured")]
pub struct NoSecret;

/// The headers that sign one body.
#[derive(Clone, PartialEq, Eq)]
pub struct Headers {
    /// The value of [`JITSI_SIGNATURE`].
    pub jitsi: String,
    /// The value of [`WEBHOOK_TIMESTAMP`].
    pub timestamp: String,
    /// The value of [`WEBHOOK_SIGNATURE`].
    pub standard: String,
}

/// The signature headers of a received request; `None` where a header is absent.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a> {
    /// The value of [`JITSI_SIGNATURE`].
    pub jitsi: Option<&'a str>,
    /// The value of [`WEBHOOK_ID`].
    pub id: Option<&'a str>,
    /// The value of [`WEBHOOK_TIMESTAMP`].
    pub timestamp: Option<&'a str>,
    /// The value of [`WEBHOOK_SIGNATURE`].
    pub standard: Option<&'a str>,
}

/// Why a request is not taken for a delivery of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Neither scheme's headers are there.
    #[error("the request carries no signature")]
    Missing,
    /// A signature is there and does not verify with any secret.
    #[error("the signature does not match the body under any configured secret")]
    Mismatch,
    /// Only the undated signature is there, and the server asks for a dated one.
    #[error("the request carries no signed timestamp, and this server requires one")]
    Undated,
    /// The signing time is too far from the verifier's clock.
    #[error("the signature was made {0} s away from this server's clock, more than the {limit} s allowed", limit = TOLERANCE.as_secs())]
    Stale(i64),
}

impl Secrets {
    /// Reads the comma-separated form of `JITSI_WEBHOOK_SECRET`; blanks around a secret do not belong to it.
    pub fn parse(list: &str) -> Result<Self, NoSecret> {
        let keys: Vec<_> =
            list.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(keyed).collect();
        if keys.is_empty() { Err(NoSecret) } else { Ok(Self(keys)) }
    }

    /// One secret as it stands: a comma in it belongs to it.
    pub fn one(secret: &str) -> Self {
        Self(vec![keyed(secret)])
    }

    /// The value of [`ROOM_SIGNATURE`] for `body` at `now` (seconds since 1970), with the first secret: `t=`, the time, `,v1=` and the
    /// lower-case hexadecimal HMAC-SHA256 of `time.body`.
    pub fn sign_for_room(&self, now: i64, body: &[u8]) -> String {
        let mut mac = self.0[0].clone();
        for part in [now.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("t={now},v1={}", hex(&mac.finalize().into_bytes()))
    }

    /// Signs `body` as delivery `id` at `now` (seconds since 1970) with the first secret.
    pub fn sign(&self, id: &str, now: i64, body: &[u8]) -> Headers {
        let timestamp = now.to_string();
        Headers {
            jitsi: hex(&jitsi_mac(&self.0[0], body)),
            standard: format!("v1,{}", BASE64.encode(standard_mac(&self.0[0], id, &timestamp, body))),
            timestamp,
        }
    }

    /// Accepts `body` if every signature that is presented verifies and, where there is one, its date is near `now`.
    pub fn verify(
        &self,
        presented: Presented<'_>,
        body: &[u8],
        now: i64,
        require_timestamp: bool,
    ) -> Result<(), SignatureError> {
        let dated = presented.id.is_some() || presented.timestamp.is_some() || presented.standard.is_some();
        if presented.jitsi.is_none() && !dated {
            return Err(SignatureError::Missing);
        }
        if let Some(signature) = presented.jitsi
            && !self.any(|key| matches(hex(&jitsi_mac(key, body)).as_bytes(), signature))
        {
            return Err(SignatureError::Mismatch);
        }
        if dated {
            self.verify_dated(presented, body, now)
        } else if require_timestamp {
            Err(SignatureError::Undated)
        } else {
            Ok(())
        }
    }

    fn verify_dated(&self, presented: Presented<'_>, body: &[u8], now: i64) -> Result<(), SignatureError> {
        let (Some(id), Some(timestamp), Some(signatures)) =
            (presented.id, presented.timestamp, presented.standard)
        else {
            return Err(SignatureError::Mismatch);
        };
        let verifies = self.any(|key| {
            let expected = BASE64.encode(standard_mac(key, id, timestamp, body));
            let candidates = signatures.split(' ').filter_map(|entry| entry.strip_prefix("v1,"));
            candidates.fold(false, |found, candidate| found | matches(expected.as_bytes(), candidate))
        });
        let signed_at: i64 = timestamp.parse().map_err(|_| SignatureError::Mismatch)?;
        if !verifies {
            return Err(SignatureError::Mismatch);
        }
        let distance = now.saturating_sub(signed_at);
        if distance.unsigned_abs() > TOLERANCE.as_secs() {
            Err(SignatureError::Stale(distance))
        } else {
            Ok(())
        }
    }

    /// Whether one of the secrets verifies; all are tried, so that time does not tell which one.
    fn any(&self, verifies: impl Fn(&Hmac<Sha256>) -> bool) -> bool {
        self.0.iter().fold(false, |found, key| found | verifies(key))
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({} hidden)", self.0.len())
    }
}

fn keyed(secret: &str) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length")
}

fn jitsi_mac(key: &Hmac<Sha256>, body: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    mac.update(body);
    mac.finalize().into_bytes().into()
}

fn standard_mac(key: &Hmac<Sha256>, id: &str, timestamp: &str, body: &[u8]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn matches(expected: &[u8], presented: &str) -> bool {
    expected.ct_eq(presented.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_736_937_000;
    const BODY: &[u8] = br#"{"event":"test","room":"test","timestamp":"2025-01-15T10:30:00.000Z","data":{}}"#;

    fn secrets(list: &str) -> Secrets {
        Secrets::parse(list).unwrap()
    }

    fn presented<'a>(id: &'a str, headers: &'a Headers) -> Presented<'a> {
        Presented {
            jitsi: Some(&headers.jitsi),
            id: Some(id),
            timestamp: Some(&headers.timestamp),
            standard: Some(&headers.standard),
        }
    }

    #[test]
    fn what_one_side_signs_the_other_accepts() {
        let headers = secrets("one").sign("evt_1", NOW, BODY);
        assert_eq!(secrets("one").verify(presented("evt_1", &headers), BODY, NOW, true), Ok(()));
    }

    #[test]
    fn during_a_rotation_both_secrets_verify_and_the_first_signs() {
        let old = secrets("old").sign("evt_1", NOW, BODY);
        let new = secrets("new, old").sign("evt_1", NOW, BODY);
        assert_eq!(secrets("new,old").verify(presented("evt_1", &old), BODY, NOW, true), Ok(()));
        assert_eq!(secrets("new").verify(presented("evt_1", &new), BODY, NOW, true), Ok(()));
        assert_eq!(
            secrets("old").verify(presented("evt_1", &new), BODY, NOW, true),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn the_tolerance_ends_after_five_minutes_either_way() {
        let headers = secrets("one").sign("evt_1", NOW, BODY);
        for (now, expected) in [
            (NOW + 300, Ok(())),
            (NOW - 300, Ok(())),
            (NOW + 301, Err(SignatureError::Stale(301))),
            (NOW - 301, Err(SignatureError::Stale(-301))),
        ] {
            assert_eq!(secrets("one").verify(presented("evt_1", &headers), BODY, now, false), expected);
        }
    }

    #[test]
    fn each_thing_that_can_be_wrong_is_refused() {
        let signed = secrets("one").sign("evt_1", NOW, BODY);
        let whole = presented("evt_1", &signed);
        let only_jitsi = Presented { jitsi: whole.jitsi, ..Presented::default() };
        let upper = signed.jitsi.to_uppercase();
        for (what, given, body, require, expected) in [
            ("nothing", Presented::default(), BODY, false, Err(SignatureError::Missing)),
            ("guide's only", only_jitsi, BODY, false, Ok(())),
            ("guide's only, date required", only_jitsi, BODY, true, Err(SignatureError::Undated)),
            ("another body", only_jitsi, b"{}", false, Err(SignatureError::Mismatch)),
            (
                "upper case",
                Presented { jitsi: Some(&upper), ..only_jitsi },
                BODY,
                false,
                Err(SignatureError::Mismatch),
            ),
            ("standard only", Presented { jitsi: None, ..whole }, BODY, true, Ok(())),
            (
                "another id",
                Presented { id: Some("evt_2"), ..whole },
                BODY,
                false,
                Err(SignatureError::Mismatch),
            ),
            ("no id", Presented { id: None, ..whole }, BODY, false, Err(SignatureError::Mismatch)),
            (
                "no date",
                Presented { timestamp: Some("soon"), ..whole },
                BODY,
                false,
                Err(SignatureError::Mismatch),
            ),
            (
                "wrong guide's",
                Presented { jitsi: Some("00"), ..whole },
                BODY,
                false,
                Err(SignatureError::Mismatch),
            ),
        ] {
            assert_eq!(secrets("one").verify(given, body, NOW, require), expected, "{what}");
        }
    }

    /// The expected value was made with `printf '%s' "1736937000.$BODY" | openssl dgst -sha256 -hmac 'a,b'`.
    #[test]
    fn a_room_s_signature_covers_time_and_body_and_its_secret_may_hold_a_comma() {
        let signature = Secrets::one("a,b").sign_for_room(NOW, BODY);
        assert_eq!(
            signature,
            "t=1736937000,v1=267cb66fe1c856622ea4c4072014a09fa33499010d7c826006a08189b7001359"
        );
        assert_ne!(signature, Secrets::one("a").sign_for_room(NOW, BODY));
    }

    #[test]
    fn secrets_are_not_printed_and_an_empty_list_is_refused() {
        assert_eq!(format!("{:?}", secrets("hunter2,other")), "Secrets(2 hidden)");
        assert_eq!(Secrets::parse(" , ").unwrap_err(), NoSecret);
    }
}
