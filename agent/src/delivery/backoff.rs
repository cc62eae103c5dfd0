//! How long to wait after a failure: exponential, with full jitter, between two bounds.

use std::time::Duration;

/// The bounds of the wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first wait.
    pub min: Duration,
    /// The ceiling of every later wait.
    pub max: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row, at a random point `0.0 ≤ chance < 1.0` below the ceiling.
    ///
    /// Full jitter: many hosts whose API comes back do not come back all at once.
    pub fn wait(&self, failures: u32, chance: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = self.min.saturating_mul(1 << doublings).min(self.max);
        ceiling.mul_f64(chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Backoff = Backoff { min: Duration::from_secs(1), max: Duration::from_mins(5) };

    #[test]
    fn the_ceiling_doubles_up_to_the_longest_wait() {
        for (failures, seconds) in [(0, 1), (1, 1), (2, 2), (3, 4), (9, 256), (10, 300), (1000, 300)] {
            assert_eq!(BOUNDS.wait(failures, 1.0), Duration::from_secs(seconds), "after {failures}");
        }
    }

    #[test]
    fn jitter_uses_the_whole_range() {
        assert_eq!(BOUNDS.wait(3, 0.0), Duration::ZERO);
        assert_eq!(BOUNDS.wait(3, 0.5), Duration::from_secs(2));
    }
}
