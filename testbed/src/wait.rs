//! The one way in which anything here waits: for a condition, with a deadline.

use std::thread;
use std::time::{Duration, Instant};

/// How long a condition rests between two looks.
const PAUSE: Duration = Duration::from_millis(2);

/// Looks again and again until `condition` holds; false when it does not within `deadline`.
pub fn eventually(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}
