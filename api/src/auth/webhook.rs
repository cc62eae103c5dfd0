//! Whether a delivery was signed with a secret of ours.

use contract::signature::{self, Presented, SignatureError};
use http::HeaderMap;
use time::OffsetDateTime;

use crate::config::Jitsi;

/// Accepts a delivery whose headers sign `body`, with a date where the settings or `needs_date` ask for one. Without a configured
/// secret nothing is accepted.
pub fn verify(
    settings: &Jitsi,
    headers: &HeaderMap,
    body: &[u8],
    now: OffsetDateTime,
    needs_date: bool,
) -> Result<(), SignatureError> {
    let secrets = settings.webhook_secrets.as_ref().ok_or(SignatureError::Mismatch)?;
    secrets.verify(presented(headers), body, now.unix_timestamp(), needs_date || settings.require_timestamp)
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
    use contract::signature::Secrets;

    use super::*;

    fn settings(secrets: Option<&str>) -> Jitsi {
        Jitsi {
            webhook_secrets: secrets.map(|list| Secrets::parse(list).unwrap()),
            require_timestamp: false,
            meetings: Err(Vec::new()),
        }
    }

    #[test]
    fn without_a_configured_secret_nothing_is_accepted() {
        let signed = Secrets::parse("one").unwrap().sign("evt_1", 0, b"{}");
        let mut headers = HeaderMap::new();
        headers.insert(signature::JITSI_SIGNATURE, signed.jitsi.parse().unwrap());
        let now = OffsetDateTime::UNIX_EPOCH;
        let one = settings(Some("one"));
        assert_eq!(verify(&one, &headers, b"{}", now, false), Ok(()));
        assert_eq!(verify(&one, &headers, b"{}", now, true), Err(SignatureError::Undated));
        assert_eq!(verify(&settings(None), &headers, b"{}", now, false), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_header_that_is_no_text_is_not_taken_for_an_absent_one() {
        let signed = Secrets::parse("one").unwrap().sign("evt_1", 0, b"{}");
        let mut headers = HeaderMap::new();
        headers.insert(signature::JITSI_SIGNATURE, signed.jitsi.parse().unwrap());
        headers.insert(signature::WEBHOOK_SIGNATURE, http::HeaderValue::from_bytes(b"\xff").unwrap());
        let result = verify(&settings(Some("one")), &headers, b"{}", OffsetDateTime::UNIX_EPOCH, false);
        assert_eq!(result, Err(SignatureError::Mismatch));
    }
}
