//! Whether a request carries both signatures and both are good.

use std::time::{SystemTime, UNIX_EPOCH};

use contract::signature::{self, Presented, Secrets};
use hyper::header::HeaderMap;

/// The sink is stricter than the API: our agent always sends both schemes, so one alone is a fault.
pub(super) fn verifies(secrets: &Secrets, headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let presented = Presented {
        jitsi: text(signature::JITSI_SIGNATURE),
        id: text(signature::WEBHOOK_ID),
        timestamp: text(signature::WEBHOOK_TIMESTAMP),
        standard: text(signature::WEBHOOK_SIGNATURE),
    };
    presented.jitsi.is_some() && secrets.verify(presented, body, unix_now(), true).is_ok()
}

fn unix_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
