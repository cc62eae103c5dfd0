//! Whether a delivery was signed with a secret of ours.

use contract::signature::{self, Presented, Secrets, SignatureError};
use http::HeaderMap;
use time::OffsetDateTime;

/// Accepts a delivery whose headers sign `body` with one of `secrets`, with a date where `needs_date` asks for one. Without a
/// secret nothing is accepted.
pub fn verify(
    secrets: Option<&Secrets>,
    headers: &HeaderMap,
    body: &[u8],
    now: OffsetDateTime,
    needs_date: bool,
) -> Result<(), SignatureError> {
    let secrets = secrets.ok_or(SignatureError::Mismatch)?;
    secrets.verify(presented(headers), body, now.unix_timestamp(), needs_date)
}

/// The enrolled agent that a delivery names. A header that is no visible ASCII names nobody, and must not count as absent.
pub fn agent(headers: &HeaderMap) -> Option<&str> {
    headers.get(signature::AGENT).map(|value| value.to_str().unwrap_or_default())
}

/// A header that is no visible ASCII cannot verify, and must not count as absent either.
fn presented(headers: &HeaderMap) -> Presented<'_> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    Presented {
        jitsi: text(signature::JITSI_SIGNATURE),
        id: text(signature::WEBHOOK_ID),
        timestamp: text(signature::WEBHOOK_TIMESTAMP),
        standard: text(signature::WEBHOOK_SIGNATURE),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn without_a_configured_secret_nothing_is_accepted() {
        let one = Secrets::parse("one").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(signature::JITSI_SIGNATURE, one.sign("evt_1", 0, b"{}").jitsi.parse().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        assert_eq!(verify(Some(&one), &headers, b"{}", now, false), Ok(()));
        assert_eq!(verify(Some(&one), &headers, b"{}", now, true), Err(SignatureError::Undated));
        assert_eq!(verify(None, &headers, b"{}", now, false), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_header_that_is_no_text_is_not_taken_for_an_absent_one() {
        let one = Secrets::parse("one").unwrap();
        let no_text = HeaderValue::from_bytes(b"\xff").unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(signature::JITSI_SIGNATURE, one.sign("evt_1", 0, b"{}").jitsi.parse().unwrap());
        assert_eq!(agent(&headers), None);
        headers.insert(signature::WEBHOOK_SIGNATURE, no_text.clone());
        headers.insert(signature::AGENT, no_text);
        let result = verify(Some(&one), &headers, b"{}", OffsetDateTime::UNIX_EPOCH, false);
        assert_eq!(result, Err(SignatureError::Mismatch));
        assert_eq!(agent(&headers), Some(""));
    }
}
