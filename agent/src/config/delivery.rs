//! `[delivery]`: how events are sent.

use std::time::Duration;

use serde::Deserialize;

use super::finding::{Finding, SECONDS, Section, require, within};

/// `[delivery]`: how events are sent.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Delivery {
    /// How many rooms are delivered at the same time, each over its own connection.
    pub connections: usize,
    /// The most events in one request; 1 sends every event by itself.
    pub batch_max_events: usize,
    /// The shortest wait after a failure.
    pub backoff_min_seconds: u64,
    /// The longest wait after a failure.
    pub backoff_max_seconds: u64,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            connections: 8,
            batch_max_events: contract::batch::MAX_EVENTS,
            backoff_min_seconds: 1,
            backoff_max_seconds: 300,
        }
    }
}

impl Section for Delivery {
    const NAME: &'static str = "delivery";

    fn findings(&self) -> Vec<Finding> {
        let (min, max) = (self.backoff_min_seconds, self.backoff_max_seconds);
        let unordered = format!("is {min}, more than backoff-max-seconds, which is {max}");
        // What the API takes.
        let batch = 1..=contract::batch::MAX_EVENTS as u64;
        require(min <= max, "delivery.backoff-min-seconds", unordered)
            .into_iter()
            .chain(within("delivery.backoff-min-seconds", min, &SECONDS))
            .chain(within("delivery.backoff-max-seconds", max, &SECONDS))
            .chain(within("delivery.connections", self.connections as u64, &(1..=64)))
            .chain(within("delivery.batch-max-events", self.batch_max_events as u64, &batch))
            .collect()
    }
}

impl Delivery {
    /// How long to wait after failures.
    pub fn backoff(&self) -> crate::delivery::backoff::Backoff {
        crate::delivery::backoff::Backoff {
            min: Duration::from_secs(self.backoff_min_seconds),
            max: Duration::from_secs(self.backoff_max_seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::assert_bounds;
    use super::*;

    #[test]
    fn waits_in_the_wrong_order_are_told_with_both_numbers() {
        let wrong = Delivery { backoff_min_seconds: 40, backoff_max_seconds: 20, ..Delivery::default() };
        assert_eq!(wrong.findings()[0].problem, "is 40, more than backoff-max-seconds, which is 20");
    }

    #[test]
    fn every_number_has_bounds() {
        let widest =
            Delivery { backoff_min_seconds: 1, backoff_max_seconds: *SECONDS.end(), ..Delivery::default() };
        assert_bounds(&widest, "backoff-min-seconds", &SECONDS, |all, n| all.backoff_min_seconds = n);
        let least = Delivery { backoff_min_seconds: 1, ..Delivery::default() };
        assert_bounds(&least, "backoff-max-seconds", &SECONDS, |all, n| all.backoff_max_seconds = n);
        assert_bounds(&least, "connections", &(1..=64), |all, n| {
            all.connections = usize::try_from(n).unwrap_or(usize::MAX);
        });
    }
}
