//! A start that takes long: the service manager is asked for more time.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, Builder};
use std::time::Duration;

use host::notify::{EXTEND_EVERY, extend, is_managed};

/// How often more time is asked for at most: for five minutes. Prosody's start waits for ours, so a disk that does not answer
/// at all must not hold it up for ever.
const TIMES: usize = 15;

/// Does `work`, which may take some minutes, without running into the limit of the start.
pub fn patiently<T>(work: impl FnOnce() -> T) -> T {
    if !is_managed() {
        return work();
    }
    thread::scope(|scope| {
        // It ends with `work`, also by a panic.
        let (_done, is_done) = mpsc::channel();
        let asking = Builder::new().name("start".into());
        if let Err(error) = asking.spawn_scoped(scope, move || ask(&is_done, EXTEND_EVERY, extend)) {
            tracing::debug!(%error, "nobody asks for more time");
        }
        work()
    })
}

/// Asks every so often, until the other end of `is_done` is gone.
fn ask(is_done: &Receiver<()>, every: Duration, mut extend: impl FnMut()) {
    for _ in 0..TIMES {
        extend();
        if is_done.recv_timeout(every) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_asked_for_while_the_work_goes_on_and_not_for_ever() {
        let (done, is_done) = mpsc::channel();
        let mut asked = 0;
        ask(&is_done, Duration::ZERO, || asked += 1);
        assert_eq!(asked, TIMES);
        drop(done);
        ask(&is_done, Duration::MAX, || asked += 1);
        assert_eq!(asked, TIMES + 1, "the work is done");
    }
}
