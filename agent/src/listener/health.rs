//! Whether the agent does its work, decided from what the outbox says.

use crate::outbox::Backlog;

/// A delivery that waits longer than this, while requests fail, makes the agent unhealthy. One that waits for its meeting
/// does not: the API answers.
const PATIENCE_MS: i64 = 5 * 60 * 1000;

/// Everything that keeps the agent from its work at `now` (milliseconds since 1970); empty when it is healthy.
pub(super) fn troubles(backlog: &Backlog, max_bytes: u64, now: i64) -> Vec<String> {
    let mut troubles = Vec::new();
    if backlog.bytes >= max_bytes {
        troubles.push(format!(
            "the outbox is at its size cap of {max_bytes} bytes: sources wait, nothing is dropped; bring the API back, or raise `max-bytes` in [outbox]"
        ));
    }
    let waited = backlog.oldest_ready.map_or(0, |since| now - since);
    if let Some(failure) = &backlog.last_failure
        && waited > PATIENCE_MS
        && now - failure.at < PATIENCE_MS * 2
    {
        troubles.push(format!(
            "the oldest delivery has waited {} minutes; the last request failed: {}; see `reflector-agent status`",
            waited / 60_000,
            failure.note
        ));
    }
    troubles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::log::Attempt;

    #[test]
    fn an_agent_is_unhealthy_when_it_is_full_or_has_not_delivered_for_minutes() {
        const NOW: i64 = 10_000_000;
        const MINUTE: i64 = 60_000;
        let failed =
            |ago| Some(Attempt { at: NOW - ago, status: Some(503), took_ms: 3, note: "busy".into() });
        for (bytes, oldest, last_failure, expected) in [
            (0, None, None, &[][..]),
            (0, None, failed(0), &[]),
            (0, Some(NOW - MINUTE), failed(0), &[]),
            (0, Some(NOW - 6 * MINUTE), None, &[]),
            (0, Some(NOW - 6 * MINUTE), failed(MINUTE), &["waited 6 minutes; the last request failed: busy"]),
            // Something that failed long ago and goes through now.
            (0, Some(NOW - 60 * MINUTE), failed(11 * MINUTE), &[]),
            (100, None, None, &["size cap of 100 bytes"]),
            (100, Some(NOW - 6 * MINUTE), failed(0), &["size cap", "waited 6 minutes"]),
        ] {
            let backlog = Backlog {
                ready: 0,
                rooms: 0,
                oldest_ready: oldest,
                awaiting_meeting: 0,
                rooms_awaiting_meeting: 0,
                parked: 0,
                uploads: crate::outbox::uploads::UploadTotals::default(),
                last_failure,
                bytes,
            };
            let found = troubles(&backlog, 100, NOW);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (said, part) in found.iter().zip(expected) {
                assert!(said.contains(part), "{said}");
            }
        }
    }
}
