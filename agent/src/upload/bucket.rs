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

    /// The time in which so many bytes may be sent.
    fn time_of(bytes: u64, rate: u64) -> Duration {
        Duration::from_secs(1).mul_f64(f64::from(u32::try_from(bytes).unwrap()))
            / u32::try_from(rate).unwrap()
    }

    #[test]
    fn no_more_is_sent_than_the_rate_and_one_burst() {
        const PAUSES: Duration = Duration::from_secs(12);
        for (rate, grant) in [(1_000, 50), (1_000_000, 65_536), (1_024, 1_024), (50_000, 65_536)] {
            let start = Instant::now();
            let (mut bucket, mut now, mut sent) = (Bucket::new(rate, start), start, 0);
            // A sender that waits as long as it is told, and now and then pauses.
            for step in 0..200 {
                now += bucket.take(grant, now);
                sent += grant as u64;
                let least = time_of(sent, rate).saturating_sub(BURST + time_of(grant as u64, rate));
                assert!(now - start >= least, "{sent} bytes at {rate}/s in {:?}", now - start);
                if step % 50 == 49 {
                    now += PAUSES / 4;
                }
            }
            let most = time_of(sent, rate) + PAUSES;
            assert!(now - start <= most, "{sent} bytes at {rate}/s took {:?}", now - start);
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
