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

use host::pulse::{Pulse, Pulses};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::sync::Notify;

/// How often a loop that waits on a runtime shows that it gets round.
const ROUND: Duration = Duration::from_secs(5);

/// Tells every loop to stop; clones tell the same loops. A loop that asks whether it is to stop, or sleeps until it is,
/// shows by that that it gets round.
#[derive(Clone)]
pub struct Stop {
    signal: Arc<Signal>,
    /// The loop's that holds it.
    pulse: Option<Pulse>,
}

/// The signal in three forms: a descriptor to sleep on, a flag that busy work looks at for nothing, and a future.
struct Signal {
    event: OwnedFd,
    given: AtomicBool,
    waiting: Notify,
    pulses: Pulses,
}

impl Stop {
    /// A signal that has not been given yet.
    pub fn new() -> std::io::Result<Self> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let (given, waiting) = (AtomicBool::new(false), Notify::new());
        let signal = Signal { event, given, waiting, pulses: Pulses::default() };
        Ok(Self { signal: Arc::new(signal), pulse: None })
    }

    /// The same signal for a loop of its own, whose pulse is felt from now on.
    #[must_use]
    pub fn for_loop(&self, name: &'static str) -> Self {
        let pulse = self.signal.pulses.pulse(name, Duration::ZERO);
        pulse.beat();
        Self { signal: Arc::clone(&self.signal), pulse: Some(pulse) }
    }

    /// The same signal for work that another loop waits for, and that says nothing about that loop.
    #[must_use]
    pub fn for_helper(&self) -> Self {
        Self { signal: Arc::clone(&self.signal), pulse: None }
    }

    /// The pulses of the loops that are told to stop.
    pub fn pulses(&self) -> &Pulses {
        &self.signal.pulses
    }

    /// Gives the signal; it stays given.
    pub fn give(&self) {
        self.signal.given.store(true, Ordering::Release);
        self.signal.waiting.notify_waiters();
        // The counter cannot overflow: it is written once or twice in the process's life and never read.
        let _ = rustix::io::write(&self.signal.event, &1_u64.to_ne_bytes());
    }

    /// Sleeps until the signal is given or `timeout` has passed; tells whether it was given.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.sleeps(timeout);
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let event = PollFd::from_borrowed_fd(self.signal.event.as_fd(), PollFlags::IN);
        // An interrupted poll is a timeout that came early.
        let _ = poll(&mut [event], Some(&timeout));
        self.is_given()
    }

    /// Whether the signal was given. Cheap: long work asks between its steps.
    pub fn is_given(&self) -> bool {
        self.sleeps(Duration::ZERO);
        self.signal.given.load(Ordering::Acquire)
    }

    /// Completes when the signal is given; for whoever waits on a runtime, which must have timers.
    pub async fn given(&self) {
        loop {
            let notified = self.signal.waiting.notified();
            if self.is_given() {
                return;
            }
            self.sleeps(ROUND);
            if tokio::time::timeout(ROUND, notified).await.is_ok() {
                return;
            }
        }
    }

    /// The loop sleeps until somebody gives it work.
    pub(crate) fn is_idle(&self) {
        if let Some(pulse) = &self.pulse {
            pulse.rest();
        }
    }

    /// The loop sleeps, for so long at most; for no time at all, it works.
    pub(crate) fn sleeps(&self, at_most: Duration) {
        if let Some(pulse) = &self.pulse {
            pulse.sleeps(at_most);
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

/// How often to look where the kernel does not report changes.
const LOOK: Duration = Duration::from_secs(1);

/// Watches directories, as far as the kernel helps. Where it does not, waits are short, so that the source looks often.
pub struct Watch {
    inotify: Option<OwnedFd>,
    stop: Stop,
    /// The directories to watch, and the kernel's numbers for those that it watches.
    watched: HashMap<PathBuf, Option<i32>>,
    blindness: Option<Blindness>,
}

/// Why the kernel does not report changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blindness {
    /// This user has as many watches as it may have.
    Watches,
    /// This user has as many queues of changes as it may have.
    Instances,
    /// This process has as many files open as it may have.
    Descriptors,
    /// Something else.
    Other(Errno),
}

impl Blindness {
    fn next_step(self) -> &'static str {
        match self {
            Self::Watches => {
                "raise fs.inotify.max_user_watches (now in /proc/sys/fs/inotify, for ever in /etc/sysctl.d)"
            }
            Self::Instances => {
                "raise fs.inotify.max_user_instances (now in /proc/sys/fs/inotify, for ever in /etc/sysctl.d)"
            }
            Self::Descriptors => "raise the limit of open files (LimitNOFILE= of the systemd unit)",
            Self::Other(_) => "look at the kernel's log",
        }
    }
}

impl Watch {
    /// A watch on nothing yet.
    pub fn new(stop: Stop) -> Self {
        Self { inotify: None, stop, watched: HashMap::new(), blindness: None }
    }

    /// Watches `directory` from now on. Safe to repeat; a directory that was deleted and made anew is watched anew, and
    /// one that the kernel did not want to watch is offered to it again.
    pub fn add(&mut self, directory: &Path) {
        match self.ask_kernel(directory) {
            Ok(descriptor) => {
                self.watched.insert(directory.to_owned(), Some(descriptor));
            }
            // Not there, or not for us: who reads it says so.
            Err(Blindness::Other(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS)) => {
                self.watched.remove(directory);
            }
            Err(blindness) => {
                self.watched.insert(directory.to_owned(), None);
                if self.blindness.is_none() {
                    tracing::warn!(
                        directory = %directory.display(), reason = ?blindness,
                        "the kernel does not report changes to us any more; directories are looked at every second instead. To have it back: {}",
                        blindness.next_step()
                    );
                }
                self.blindness = Some(blindness);
                return;
            }
        }
        if self.blindness.is_some() && self.watched.values().all(Option::is_some) {
            self.blindness = None;
            tracing::info!("the kernel reports changes again");
        }
    }

    fn ask_kernel(&mut self, directory: &Path) -> Result<i32, Blindness> {
        const INTEREST: WatchFlags = WatchFlags::MODIFY
            .union(WatchFlags::CLOSE_WRITE)
            .union(WatchFlags::CREATE)
            .union(WatchFlags::DELETE)
            .union(WatchFlags::MOVED_FROM)
            .union(WatchFlags::MOVED_TO)
            .union(WatchFlags::DELETE_SELF)
            .union(WatchFlags::MOVE_SELF)
            .union(WatchFlags::ONLYDIR);
        let inotify = match &self.inotify {
            Some(inotify) => inotify,
            None => self.inotify.insert(queue(&self.stop)?),
        };
        inotify::add_watch(inotify, directory, INTEREST).map_err(|error| match error {
            Errno::NOSPC => Blindness::Watches,
            error => Blindness::Other(error),
        })
    }

    /// Stops watching every directory that `keep` does not want.
    pub fn retain(&mut self, mut keep: impl FnMut(&Path) -> bool) {
        self.watched.retain(|path, descriptor| {
            let kept = keep(path);
            if !kept && let (Some(inotify), Some(descriptor)) = (&self.inotify, *descriptor) {
                // The kernel removes the watch of a deleted directory by itself.
                let _ = inotify::remove_watch(inotify, descriptor);
            }
            kept
        });
    }

    /// Sleeps until something happens or `timeout` has passed, and takes in everything that was reported. Where the kernel
    /// does not report everything, it is a second at most.
    pub fn wait(&self, timeout: Duration) -> Wake {
        let timeout = if self.blindness.is_some() { timeout.min(LOOK) } else { timeout };
        self.stop.sleeps(timeout);
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let stop = PollFd::from_borrowed_fd(self.stop.signal.event.as_fd(), PollFlags::IN);
        let mut fds = [stop.clone(), stop];
        if let Some(inotify) = &self.inotify {
            fds[1] = PollFd::new(inotify, PollFlags::IN);
        }
        // An interrupted poll reports nothing, which is a timeout like any other.
        let _ = poll(&mut fds, Some(&timeout));
        self.stop.sleeps(Duration::ZERO);
        if fds[0].revents().contains(PollFlags::IN) {
            return Wake::Stop;
        }
        match &self.inotify {
            Some(inotify) if fds[1].revents().contains(PollFlags::IN) => drain(inotify),
            _ => Wake::Timeout,
        }
    }
}

/// Takes in everything that was reported. A queue that ran over says so with an event of its own, which is no mere write.
fn drain(inotify: &OwnedFd) -> Wake {
    let mut buffer = [MaybeUninit::uninit(); 8192];
    let mut reader = Reader::new(inotify, &mut buffer);
    let mut wake = Wake::Timeout;
    while let Ok(event) = reader.next() {
        if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
            tracing::info!(
                "the kernel's queue of changes ran over; everything is looked at (if this is frequent: raise fs.inotify.max_queued_events)"
            );
        }
        let written = ReadFlags::MODIFY | ReadFlags::CLOSE_WRITE;
        let only_written = !event.events().intersects(written.complement());
        wake = if only_written && wake != Wake::Changed { Wake::Written } else { Wake::Changed };
    }
    wake
}

/// A queue of changes.
fn queue(stop: &Stop) -> Result<OwnedFd, Blindness> {
    inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| match error {
        // The same error stands for two limits: another descriptor tells which of them it is.
        Errno::MFILE if rustix::io::dup(&stop.signal.event).is_ok() => Blindness::Instances,
        Errno::MFILE | Errno::NFILE => Blindness::Descriptors,
        error => Blindness::Other(error),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_given_stop_is_seen_by_every_clone_and_ends_every_wait() {
        let stop = Stop::new().unwrap();
        let watch = Watch::new(stop.clone());
        assert!(!stop.is_given());
        assert_eq!(watch.wait(Duration::ZERO), Wake::Timeout);
        stop.clone().give();
        assert!(stop.is_given());
        assert_eq!(watch.wait(Duration::from_mins(1)), Wake::Stop);
    }

    #[test]
    fn a_loop_that_asks_or_sleeps_gets_round_and_a_helper_says_nothing_about_it() {
        let stop = Stop::new().unwrap();
        let of_loop = stop.for_loop("spool");
        let helper = of_loop.for_helper();
        let hangs = || !stop.pulses().stuck(Duration::ZERO).is_empty();
        let until_it_hangs = || {
            while !hangs() {
                assert!(!stop.is_given() && !helper.is_given());
            }
        };
        until_it_hangs();
        of_loop.sleeps(Duration::from_mins(1));
        assert!(!hangs());
        let _ = of_loop.wait(Duration::ZERO);
        until_it_hangs();
        let watch = Watch::new(of_loop.clone());
        watch.wait(Duration::ZERO);
        until_it_hangs();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let nothing = tokio::time::timeout(Duration::from_millis(1), of_loop.given()).await;
            assert!(nothing.is_err() && !hangs(), "it waits, and shows it every few seconds");
        });
        of_loop.is_idle();
        assert!(!hangs());
    }

    #[test]
    fn a_directory_that_is_made_anew_is_watched_anew() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("spool");
        let mut watch = Watch::new(Stop::new().unwrap());
        watch.add(&directory);
        assert!(watch.blindness.is_none(), "what is not there yet is no trouble");
        for _ in 0..2 {
            std::fs::create_dir(&directory).unwrap();
            watch.add(&directory);
            std::fs::write(directory.join("a"), "x").unwrap();
            assert_eq!(watch.wait(Duration::from_secs(10)), Wake::Changed);
            std::fs::write(directory.join("a"), "y").unwrap();
            assert_eq!(watch.wait(Duration::from_secs(10)), Wake::Written);
            std::fs::remove_dir_all(&directory).unwrap();
            assert_eq!(watch.wait(Duration::from_secs(10)), Wake::Changed);
        }
        assert!(watch.blindness.is_none());
    }

    #[test]
    fn a_queue_that_ran_over_makes_everything_be_looked_at() {
        let home = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(Stop::new().unwrap());
        watch.add(home.path());
        let queued: usize = std::fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let files: Vec<File> =
            (0..2).map(|n| File::create(home.path().join(n.to_string())).unwrap()).collect();
        assert_eq!(watch.wait(Duration::from_secs(10)), Wake::Changed);
        // Equal events in a row are one, so two files take turns.
        for n in 0..=queued {
            let _ = (&files[n % 2]).write(b"x").unwrap();
        }
        assert_eq!(watch.wait(Duration::from_secs(10)), Wake::Changed, "not only written to");
    }
}
