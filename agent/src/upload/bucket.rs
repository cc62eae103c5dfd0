//! The bandwidth limit: a token bucket, as a function of the time.

use std::time::Duration;

use tokio::time::Instant;

/// How much may be sent at once after a pause.
const BURST: Duration = Duration::from_millis(100);

/// Lets so many bytes per second through, whoever sends them.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Bytes per second.
    rate: f64,
    /// Bytes that may be sent now; below zero while bytes that were granted before are still to be waited for.
    credit: f64,
    at: Instant,
}

impl Bucket {
    /// A bucket for `rate` bytes per second, which must not be zero.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate need not be exact to the byte")]
        let rate = rate.max(1) as f64;
        Self { rate, credit: rate * BURST.as_secs_f64(), at: now }
    }

    /// Grants `bytes`, to be sent after the time that is returned.
    ///
    /// In any stretch of time no more is sent than the rate allows, plus the burst, plus one grant.
    pub(super) fn take(&mut self, bytes: usize, now: Instant) -> Duration {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.at = self.at.max(now);
        #[expect(clippy::cast_precision_loss, reason = "a grant is far below 2^52 bytes")]
        let bytes = bytes as f64;
        self.credit = (self.credit + gained).min(self.rate * BURST.as_secs_f64()) - bytes;
        if self.credit >= 0.0 { Duration::ZERO } else { Duration::from_secs_f64(-self.credit / self.rate) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_sent_than_the_rate_and_one_burst() {
        for (rate, grant) in [(1_000, 50), (1_000_000, 65_536), (1_024, 1_024), (50_000, 65_536)] {
            let start = Instant::now();
            let (mut bucket, mut now, mut sent) = (Bucket::new(rate, start), start, 0_u64);
            // Two senders that each wait as long as they are told, and now and then pause.
            for step in 0..200_u64 {
                let wait = bucket.take(grant, now);
                now += wait;
                sent += grant as u64;
                if step % 50 == 49 {
                    now += Duration::from_secs(3);
                }
                let allowed = (now - start + BURST).as_secs_f64() * rate as f64 + 2.0 * grant as f64;
                assert!(
                    sent as f64 <= allowed,
                    "{sent} of {allowed} bytes at {rate}/s after {:?}",
                    now - start
                );
            }
            let busy = now - start - Duration::from_secs(12);
            let least = busy.as_secs_f64() * rate as f64;
            assert!(sent as f64 >= least * 0.99, "{sent} of {least} bytes at {rate}/s");
        }
    }

    #[test]
    fn senders_at_the_same_time_share_the_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1_000, now);
        let waits: Vec<u128> = (0..4).map(|_| bucket.take(100, now).as_millis()).collect();
        assert_eq!(waits, [0, 100, 200, 300]);
    }

    #[test]
    fn a_clock_that_stands_still_grants_nothing_more() {
        let now = Instant::now();
        let mut bucket = Bucket::new(1_000, now);
        bucket.take(100, now + Duration::from_secs(1));
        assert_eq!(bucket.take(100, now), Duration::from_millis(100));
    }
}
