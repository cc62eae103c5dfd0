//! A writer that runs beside a test at a steady rate, like the host that it stands for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Rotation, SpoolWriter};

/// How often a burst is written.
const BEAT: Duration = Duration::from_millis(5);

/// What a paced writer does.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Lines per second.
    pub rate: usize,
    /// How many lines altogether.
    pub total: usize,
    /// How the file is rotated, and after how many lines each time.
    pub rotation: Option<(Rotation, usize)>,
}

/// A running writer.
#[derive(Debug)]
pub struct Paced {
    written: Arc<AtomicUsize>,
    thread: JoinHandle<io::Result<SpoolWriter>>,
}

impl Paced {
    /// Starts writing by `plan`.
    pub fn start(writer: SpoolWriter, plan: Plan) -> Self {
        let written = Arc::new(AtomicUsize::new(0));
        let progress = Arc::clone(&written);
        let thread = thread::spawn(move || run(writer, plan, &progress));
        Self { written, thread }
    }

    /// How many lines are written so far.
    pub fn written(&self) -> usize {
        self.written.load(Ordering::Acquire)
    }

    /// Whether the writer is still at work.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    /// Waits for the end of the plan and gives the writer back.
    pub fn finish(self) -> io::Result<SpoolWriter> {
        self.thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

fn run(mut writer: SpoolWriter, plan: Plan, progress: &AtomicUsize) -> io::Result<SpoolWriter> {
    let start = Instant::now();
    let mut done = 0;
    while done < plan.total {
        let due = lines_due(start.elapsed(), plan);
        if due == done {
            thread::sleep(BEAT);
            continue;
        }
        let burst = burst_to(done, due, plan.rotation.map(|(_, every)| every));
        writer.append(burst)?;
        done += burst;
        progress.store(done, Ordering::Release);
        if let Some((how, every)) = plan.rotation
            && done.is_multiple_of(every)
            && done < plan.total
        {
            writer.rotate(how)?;
        }
    }
    Ok(writer)
}

/// How many lines the plan has written after `elapsed`.
fn lines_due(elapsed: Duration, plan: Plan) -> usize {
    let due = elapsed.as_micros() * plan.rate as u128 / 1_000_000;
    usize::try_from(due).map_or(plan.total, |due| due.min(plan.total))
}

/// How many lines go into the next write: all that are due, but none beyond a rotation.
fn burst_to(done: usize, due: usize, rotation_every: Option<usize>) -> usize {
    let next_rotation = rotation_every.map_or(usize::MAX, |every| (done / every + 1) * every);
    due.min(next_rotation) - done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_ends_where_the_file_is_rotated() {
        for (done, due, every, expected) in
            [(0, 10, None, 10), (0, 10, Some(4), 4), (4, 10, Some(4), 4), (8, 10, Some(4), 2)]
        {
            assert_eq!(burst_to(done, due, every), expected, "{done} of {due}, rotated every {every:?}");
        }
    }

    #[test]
    fn the_pace_follows_the_clock_and_ends_with_the_plan() {
        let plan = Plan { rate: 2_000, total: 3_000, rotation: None };
        for (millis, expected) in [(0, 0), (10, 20), (1_000, 2_000), (9_000, 3_000)] {
            assert_eq!(lines_due(Duration::from_millis(millis), plan), expected, "after {millis} ms");
        }
    }
}
