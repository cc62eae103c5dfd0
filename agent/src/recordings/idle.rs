//! Notices a Jibri that says it is busy while no file grows.

use std::time::{Duration, Instant};

/// Since when Jibri has been busy without a file that grows.
#[derive(Default)]
pub(super) struct Idle {
    since: Option<Instant>,
    said: bool,
}

impl Idle {
    /// Takes in how it is `now`. True, once, when it has been so for as long as `patience`.
    pub(super) fn is_to_be_said(
        &mut self,
        busy: bool,
        growing: bool,
        now: Instant,
        patience: Duration,
    ) -> bool {
        if !busy || growing {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        now - since >= patience && !std::mem::replace(&mut self.said, now - since >= patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_each_time_that_it_has_lasted_long_enough() {
        let (start, mut idle) = (Instant::now(), Idle::default());
        for (second, busy, growing, expected) in [
            (0, true, false, false),
            (9, true, false, false),
            (10, true, false, true),
            (20, true, false, false),
            (30, true, true, false),
            (31, true, false, false),
            (40, true, false, false),
            (41, true, false, true),
            (42, false, false, false),
            (60, true, false, false),
            (70, true, false, true),
        ] {
            let now = start + Duration::from_secs(second);
            let said = idle.is_to_be_said(busy, growing, now, Duration::from_secs(10));
            assert_eq!(said, expected, "after {second} s");
        }
    }
}
