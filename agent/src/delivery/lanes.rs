//! Which room is served next.
//!
//! A lane is a room with something to deliver. One request at a time per lane keeps the order within a room; lanes take
//! turns, so no room holds another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use tokio::time::Instant;

use crate::outbox::model::LaneId;

/// The lanes that have, or may have, something to deliver. A lane that is not here is empty.
#[derive(Debug, Default)]
pub struct Lanes {
    known: HashMap<LaneId, Lane>,
    turns: VecDeque<LaneId>,
    waiting: BinaryHeap<Reverse<(Instant, LaneId)>>,
}

#[derive(Debug, Clone, Copy)]
struct Lane {
    phase: Phase,
    failures: u32,
    /// The most events per request, halved when a request was too large; `None` for the configured number.
    limit: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In the queue of turns.
    Queued,
    /// In a request; `more` when items arrived since.
    Busy { more: bool },
    /// Not before this time.
    Waiting(Instant),
}

/// How a lane's turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// There was nothing to deliver.
    Empty,
    /// Something left; there may be more.
    Progress,
    /// The request was too large: try again at once with at most this many events.
    Smaller(usize),
    /// Not before this time; `failures` in a row so far.
    Wait {
        /// The time.
        until: Instant,
        /// The failures.
        failures: u32,
    },
}

impl Lanes {
    /// A lane has something new.
    pub fn appended(&mut self, id: LaneId) {
        match self.known.get_mut(&id) {
            None => self.queue(id, 0, None),
            Some(Lane { phase: Phase::Busy { more }, .. }) => *more = true,
            Some(_) => {}
        }
    }

    /// A lane was found in the outbox with a wait that began before a restart.
    pub fn restored(&mut self, id: LaneId, failures: u32, due: Instant, now: Instant) {
        if self.known.contains_key(&id) {
            return;
        }
        if due <= now {
            self.queue(id, failures, None);
        } else {
            self.wait(id, failures, None, due);
        }
    }

    /// Every wait ends now: the operator changed something.
    pub fn wake_all(&mut self) {
        let waiting: Vec<LaneId> = self.waiting.drain().map(|Reverse((_, id))| id).collect();
        for id in waiting {
            if let Some(lane) =
                self.known.get(&id).copied().filter(|lane| matches!(lane.phase, Phase::Waiting(_)))
            {
                self.queue(id, lane.failures, lane.limit);
            }
        }
    }

    /// Gives the next lane its turn: the one that has waited longest for it.
    pub fn next(&mut self, now: Instant) -> Option<LaneId> {
        while let Some(&Reverse((due, id))) = self.waiting.peek()
            && due <= now
        {
            self.waiting.pop();
            if let Some(lane) = self.known.get(&id).copied().filter(|lane| lane.phase == Phase::Waiting(due))
            {
                self.queue(id, lane.failures, lane.limit);
            }
        }
        let id = self.turns.pop_front()?;
        if let Some(lane) = self.known.get_mut(&id) {
            lane.phase = Phase::Busy { more: false };
        }
        Some(id)
    }

    /// A turn ended.
    pub fn ended(&mut self, id: LaneId, turn: Turn) {
        let Some(lane) = self.known.remove(&id) else { return };
        match turn {
            Turn::Empty if lane.phase == (Phase::Busy { more: false }) => {}
            Turn::Empty | Turn::Progress => self.queue(id, 0, None),
            Turn::Smaller(limit) => self.queue(id, lane.failures, Some(limit.max(1))),
            Turn::Wait { until, failures } => self.wait(id, failures, lane.limit, until),
        }
    }

    /// When the next waiting lane is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.peek().map(|Reverse((due, _))| *due)
    }

    /// Whether a lane could have its turn now.
    pub fn has_turn(&self, now: Instant) -> bool {
        !self.turns.is_empty() || self.next_due().is_some_and(|due| due <= now)
    }

    /// The lane's failures in a row.
    pub fn failures(&self, id: LaneId) -> u32 {
        self.known.get(&id).map_or(0, |lane| lane.failures)
    }

    /// The most events that the lane may put into a request, where that was lowered.
    pub fn limit(&self, id: LaneId) -> Option<usize> {
        self.known.get(&id).and_then(|lane| lane.limit)
    }

    fn queue(&mut self, id: LaneId, failures: u32, limit: Option<usize>) {
        self.known.insert(id, Lane { phase: Phase::Queued, failures, limit });
        self.turns.push_back(id);
    }

    fn wait(&mut self, id: LaneId, failures: u32, limit: Option<usize>, until: Instant) {
        self.known.insert(id, Lane { phase: Phase::Waiting(until), failures, limit });
        self.waiting.push(Reverse((until, id)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn lanes_take_turns_and_a_busy_lane_is_not_given_out_twice() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.appended(1);
        lanes.appended(2);
        assert_eq!(lanes.next(now), Some(1));
        lanes.appended(1);
        assert_eq!(lanes.next(now), Some(2));
        assert_eq!(lanes.next(now), None, "both are busy");
        lanes.ended(1, Turn::Empty);
        assert_eq!(lanes.next(now), Some(1), "something arrived during its turn");
        lanes.ended(1, Turn::Empty);
        lanes.ended(2, Turn::Progress);
        assert_eq!(lanes.next(now), Some(2));
        lanes.ended(2, Turn::Empty);
        assert_eq!(lanes.next(now), None);
    }

    #[test]
    fn a_waiting_lane_is_due_at_its_time_and_holds_nobody() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut lanes = Lanes::default();
        lanes.appended(1);
        lanes.appended(2);
        lanes.next(now);
        lanes.ended(1, Turn::Wait { until: now + second, failures: 3 });
        lanes.appended(1);
        assert_eq!(lanes.next(now), Some(2));
        assert!(!lanes.has_turn(now));
        assert_eq!(lanes.next_due(), Some(now + second));
        assert_eq!(lanes.failures(1), 3);
        assert_eq!(lanes.next(now + second), Some(1));
    }

    #[test]
    fn success_forgets_failures_and_limits() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.restored(1, 5, now, now);
        lanes.next(now);
        lanes.ended(1, Turn::Smaller(0));
        assert_eq!((lanes.failures(1), lanes.limit(1)), (5, Some(1)));
        lanes.next(now);
        lanes.ended(1, Turn::Progress);
        assert_eq!((lanes.failures(1), lanes.limit(1)), (0, None));
    }

    #[test]
    fn an_operator_ends_every_wait() {
        let (now, hour) = (Instant::now(), Duration::from_hours(1));
        let mut lanes = Lanes::default();
        lanes.restored(1, 5, now + hour, now);
        assert_eq!(lanes.next(now), None);
        lanes.wake_all();
        assert_eq!(lanes.next(now), Some(1));
        assert_eq!(lanes.next(now + hour), None, "the old wait is gone");
    }
}
