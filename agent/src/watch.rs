//! Wakes a source when the kernel reports a change, when time is up, or when the agent stops.
//!
//! A wake is only a hint: the source then looks at the disk. An overflow of the kernel's queue, a missed change or a
//! directory that did not exist yet therefore cost time, never data.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::sync::Notify;

/// Tells every source to stop; clones tell the same sources.
#[derive(Clone)]
pub struct Stop(Arc<Signal>);

/// The signal in three forms: a descriptor to sleep on, a flag that busy work looks at for nothing, and a future.
struct Signal {
    event: OwnedFd,
    given: AtomicBool,
    waiting: Notify,
}

impl Stop {
    /// A signal that has not been given yet.
    pub fn new() -> std::io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Signal { event, given: AtomicBool::new(false), waiting: Notify::new() })))
    }

    /// Gives the signal; it stays given.
    pub fn give(&self) {
        self.0.given.store(true, Ordering::Release);
        self.0.waiting.notify_waiters();
        // The counter cannot overflow: it is written once or twice in the process's life and never read.
        let _ = rustix::io::write(&self.0.event, &1_u64.to_ne_bytes());
    }

    /// Sleeps until the signal is given or `timeout` has passed; tells whether it was given.
    pub fn wait(&self, timeout: Duration) -> bool {
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        // An interrupted poll is a timeout that came early.
        let _ = poll(&mut [PollFd::from_borrowed_fd(self.0.event.as_fd(), PollFlags::IN)], Some(&timeout));
        self.is_given()
    }

    /// Whether the signal was given. Cheap: long work asks between its steps.
    pub fn is_given(&self) -> bool {
        self.0.given.load(Ordering::Acquire)
    }

    /// Completes when the signal is given; for whoever waits on a runtime.
    pub async fn given(&self) {
        let notified = self.0.waiting.notified();
        if !self.is_given() {
            notified.await;
        }
    }
}

/// Why a source was woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// Files were written to; the directories hold the same files as before.
    Written,
    /// Files came, went or changed their names, or the kernel lost count: look at the directories.
    Changed,
    /// Nothing was reported for as long as the caller wanted to wait.
    Timeout,
    /// The agent stops.
    Stop,
}

/// Watches directories.
pub struct Watch {
    inotify: OwnedFd,
    stop: Stop,
    watched: HashMap<PathBuf, i32>,
}

impl Watch {
    /// A watch on nothing yet.
    pub fn new(stop: Stop) -> std::io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { inotify, stop, watched: HashMap::new() })
    }

    /// Watches `directory` from now on. Safe to repeat; a directory that was deleted and made anew is watched anew.
    ///
    /// A failure is reported once per directory: without the kernel's help the periodic look still finds everything.
    pub fn add(&mut self, directory: &Path) {
        let interest = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.inotify, directory, interest) {
            Ok(descriptor) => {
                self.watched.insert(directory.to_owned(), descriptor);
            }
            Err(Errno::NOENT | Errno::NOTDIR) => {
                self.watched.remove(directory);
            }
            Err(error) => {
                if self.watched.insert(directory.to_owned(), -1).is_none() {
                    tracing::warn!(
                        directory = %directory.display(), %error,
                        "the kernel does not report changes here; the directory is looked at periodically instead (see fs.inotify.max_user_watches)"
                    );
                }
            }
        }
    }

    /// Stops watching every directory that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&Path) -> bool) {
        let inotify = self.inotify.as_fd();
        self.watched.retain(|path, descriptor| {
            let kept = keep(path);
            if !kept && *descriptor >= 0 {
                // The kernel removes the watch of a deleted directory by itself.
                let _ = inotify::remove_watch(inotify, *descriptor);
            }
            kept
        });
    }

    /// Sleeps until something happens or `timeout` has passed, and takes in everything that was reported.
    pub fn wait(&self, timeout: Duration) -> Wake {
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut fds = [
            PollFd::new(&self.inotify, PollFlags::IN),
            PollFd::from_borrowed_fd(self.stop.0.event.as_fd(), PollFlags::IN),
        ];
        // An interrupted poll reports nothing, which is a timeout like any other.
        let _ = poll(&mut fds, Some(&timeout));
        if fds[1].revents().contains(PollFlags::IN) {
            return Wake::Stop;
        }
        if fds[0].revents().contains(PollFlags::IN) { self.drain() } else { Wake::Timeout }
    }

    fn drain(&self) -> Wake {
        let mut buffer = [MaybeUninit::uninit(); 8192];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut wake = Wake::Timeout;
        while let Ok(event) = reader.next() {
            let written = ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE;
            let only_written = !event.events().intersects(written.complement());
            wake = if only_written && wake != Wake::Changed { Wake::Written } else { Wake::Changed };
        }
        wake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_stop_is_seen_by_every_clone_and_ends_every_wait() {
        let stop = Stop::new().unwrap();
        let watch = Watch::new(stop.clone()).unwrap();
        assert!(!stop.is_given());
        assert_eq!(watch.wait(Duration::ZERO), Wake::Timeout);
        stop.clone().give();
        assert!(stop.is_given());
        assert_eq!(watch.wait(Duration::from_mins(1)), Wake::Stop);
    }
}
