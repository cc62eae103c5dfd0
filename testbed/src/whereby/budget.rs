//! The rate limit: points per minute, one simple read a point, writes and lists three, insights five.

use std::time::{Duration, Instant};

use hyper::Method;

const WINDOW: Duration = Duration::from_mins(1);

/// What is left of a minute's points.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u32,
    spent: u32,
    since: Option<Instant>,
}

impl Budget {
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, spent: 0, since: None }
    }

    /// Begins a new minute.
    pub(super) fn refill(&mut self) {
        (self.spent, self.since) = (0, None);
    }

    /// Takes a call's points. `Err` holds how long the caller has to wait.
    pub(super) fn spend(&mut self, points: u32, now: Instant) -> Result<(), Duration> {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            (self.spent, self.since) = (0, Some(now));
        }
        if self.spent + points > self.limit {
            let since = self.since.unwrap_or(now);
            return Err(WINDOW.saturating_sub(now.duration_since(since)));
        }
        self.spent += points;
        Ok(())
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) fn left(&self) -> u32 {
        self.limit.saturating_sub(self.spent)
    }
}

/// What a call costs.
pub(super) fn points(method: &Method, path: &str) -> u32 {
    match (method, path) {
        (_, path) if path.starts_with("/v1/insights/") => 5,
        (&Method::GET, "/v1/meetings") => 3,
        (&Method::GET, _) => 1,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_a_minute_after_the_first_call() {
        let (mut budget, start) = (Budget::new(5), Instant::now());
        assert_eq!(budget.spend(3, start), Ok(()));
        let later = start + Duration::from_secs(20);
        assert_eq!(budget.spend(3, later), Err(Duration::from_secs(40)));
        assert_eq!((budget.spend(2, later), budget.left()), (Ok(()), 0));
        assert_eq!(budget.spend(5, start + WINDOW), Ok(()));
    }

    #[test]
    fn writes_cost_three_and_insights_five() {
        for (method, path, expected) in [
            (Method::POST, "/v1/meetings", 3),
            (Method::GET, "/v1/meetings", 3),
            (Method::GET, "/v1/meetings/1", 1),
            (Method::PUT, "/v1/rooms/r/theme/logo", 3),
            (Method::GET, "/v1/insights/room-sessions", 5),
        ] {
            assert_eq!(points(&method, path), expected, "{method} {path}");
        }
    }
}
