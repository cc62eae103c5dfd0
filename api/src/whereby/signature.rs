//! Whether a webhook was signed by Whereby with a secret of ours.
//!
//! `Whereby-Signature: t=<seconds since 1970>,v1=<hexadecimal HMAC-SHA256 of t, a dot and the raw body>`. What is signed are the bytes
//! as they were received: writing the JSON anew would change names beyond ASCII.

use contract::signature::{SignatureError, TOLERANCE};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::config::Secret;

/// The header.
pub const SIGNATURE: &str = "whereby-signature";

/// What the header says.
struct Claim<'a> {
    /// The time, as it is written.
    timestamp: &'a str,
    seconds: i64,
    /// One signature usually, several while Whereby changes the secret.
    signatures: Vec<[u8; 32]>,
}

impl<'a> Claim<'a> {
    fn read(header: &'a str) -> Option<Self> {
        let (mut timestamp, mut signatures) = (None, Vec::new());
        for (name, value) in header.split(',').filter_map(|entry| entry.trim().split_once('=')) {
            match name {
                "t" => timestamp = Some(value),
                "v1" => signatures.extend(unhex(value)),
                _ => {}
            }
        }
        let timestamp = timestamp?;
        Some(Self { timestamp, seconds: timestamp.parse().ok()?, signatures })
    }
}

/// Accepts `body` if one of `secrets` signed it, not long before or after `now` (seconds since 1970).
pub fn verify(secrets: &[Secret], header: Option<&str>, body: &[u8], now: i64) -> Result<(), SignatureError> {
    let claim = Claim::read(header.ok_or(SignatureError::Missing)?).ok_or(SignatureError::Mismatch)?;
    // All are tried, so that time does not tell which one it was.
    if !secrets.iter().fold(false, |found, secret| found | signed(secret, &claim, body)) {
        return Err(SignatureError::Mismatch);
    }
    let distance = now.saturating_sub(claim.seconds);
    if distance.unsigned_abs() > TOLERANCE.as_secs() { Err(SignatureError::Stale(distance)) } else { Ok(()) }
}

fn signed(secret: &Secret, claim: &Claim<'_>, body: &[u8]) -> bool {
    let mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes());
    let mut mac = mac.expect("HMAC takes keys of any length");
    for part in [claim.timestamp.as_bytes(), b".", body] {
        mac.update(part);
    }
    claim
        .signatures
        .iter()
        .fold(false, |found, signature| found | mac.clone().verify_slice(signature).is_ok())
}

/// The 32 bytes that 64 hexadecimal digits stand for.
fn unhex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = "{\"a\":\"é\"}".as_bytes();
    const TIME: i64 = 1_700_000_000;
    /// `printf '%s' '1700000000.{"a":"é"}' | openssl dgst -sha256 -hmac secret`
    const V1: &str = "4e459d52df8a9a07f8f86c6bcb2219a2c857c20cf3ad60936d25fb51063d44a3";

    fn check(secrets: &[&str], header: Option<&str>, body: &[u8], now: i64) -> Result<(), SignatureError> {
        let secrets: Vec<_> = secrets.iter().copied().map(Secret::new).collect();
        verify(&secrets, header, body, now)
    }

    #[test]
    fn a_signature_by_any_of_our_secrets_verifies() {
        let header = format!("t={TIME},v1={V1}");
        for secrets in [&["secret"][..], &["old", "secret"], &["secret", "new"]] {
            assert_eq!(check(secrets, Some(&header), BODY, TIME), Ok(()), "{secrets:?}");
        }
        for secrets in [&[][..], &["other"]] {
            assert_eq!(check(secrets, Some(&header), BODY, TIME), Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn whatever_a_header_says_it_has_an_answer() {
        let zeros = "0".repeat(64);
        for (header, expected) in [
            (format!("t={TIME},v1={V1}"), Ok(())),
            (format!(" v1={V1} , t={TIME},v2=x"), Ok(())),
            (format!("t={TIME},v1={zeros},v1={V1}"), Ok(())),
            (format!("t={TIME},v1={}", V1.to_uppercase()), Ok(())),
            (format!("t={TIME},v1={zeros}"), Err(SignatureError::Mismatch)),
            (format!("t=0{TIME},v1={V1}"), Err(SignatureError::Mismatch)),
            (format!("t=soon,v1={V1}"), Err(SignatureError::Mismatch)),
            (format!("v1={V1}"), Err(SignatureError::Mismatch)),
            (format!("t={TIME}"), Err(SignatureError::Mismatch)),
            (format!("t={TIME},v1=é"), Err(SignatureError::Mismatch)),
            (String::new(), Err(SignatureError::Mismatch)),
        ] {
            assert_eq!(check(&["secret"], Some(&header), BODY, TIME), expected, "{header}");
        }
        assert_eq!(check(&["secret"], None, BODY, TIME), Err(SignatureError::Missing));
        let header = format!("t={TIME},v1={V1}");
        assert_eq!(
            check(&["secret"], Some(&header), b"{\"a\":\"\\u00e9\"}", TIME),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn a_signature_is_good_for_five_minutes_either_way() {
        let header = format!("t={TIME},v1={V1}");
        for (distance, expected) in [
            (300, Ok(())),
            (-300, Ok(())),
            (301, Err(SignatureError::Stale(301))),
            (-301, Err(SignatureError::Stale(-301))),
        ] {
            assert_eq!(check(&["secret"], Some(&header), BODY, TIME + distance), expected, "{distance}");
        }
        let far = format!("t={},v1={V1}", i64::MIN);
        assert_eq!(check(&["secret"], Some(&far), BODY, TIME), Err(SignatureError::Mismatch));
    }
}
