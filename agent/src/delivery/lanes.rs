//! Which room is served next.
//!
//! A lane is a room with something to deliver. One request at a time per lane keeps the order within a room; lanes take
//! turns, so no room holds another.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::outbox::model::{LaneId, Meeting, Seq};

/// Idle lanes are remembered at least this long, so that a claim never sees again what is still being written down.
const REMEMBERED: Duration = Duration::from_mins(1);

/// The number of lanes from which on idle ones are forgotten.
const MANY: usize = 1024;

/// The lanes that have, had, or may have, something to deliver. A lane that is not here is empty.
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
    /// Items up to this one are done, even if the outbox has not written that down yet.
    after: Seq,
    /// Since when the API has known no meeting for the room, by a clock that nobody can set.
    missing_since: Option<Instant>,
}

/// What a lane's turn begins with.
#[derive(Debug, Clone, Copy)]
pub struct Begin {
    /// Behind which item to claim.
    pub after: Seq,
    /// The most events in a request, where that was lowered.
    pub limit: Option<usize>,
    /// For how long the API has known no meeting for the room.
    pub missing_for: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In the queue of turns.
    Queued,
    /// In a request; `more` when items arrived since, `anew` when older ones may have come back since.
    Busy { more: bool, anew: bool },
    /// Not before this time.
    Waiting(Instant),
    /// Nothing to deliver since this time.
    Idle(Instant),
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
        /// The most events in the next request, where the last one was too many to tell which of them fails.
        limit: Option<usize>,
    },
}

impl Lanes {
    /// A lane has something new.
    pub fn appended(&mut self, id: LaneId) {
        match self.known.get_mut(&id) {
            None => self.queue(id, Lane::fresh(0)),
            Some(Lane { phase: Phase::Busy { more, .. }, .. }) => *more = true,
            Some(&mut lane @ Lane { phase: Phase::Idle(_), .. }) => self.queue(id, lane),
            Some(_) => {}
        }
    }

    /// A lane was found in the outbox with a wait that began before a restart.
    pub fn restored(&mut self, id: LaneId, failures: u32, due: Instant, now: Instant) {
        match self.known.get(&id) {
            Some(&lane @ Lane { phase: Phase::Idle(_), .. }) => return self.queue(id, lane),
            Some(_) => return,
            None => {}
        }
        if due <= now {
            self.queue(id, Lane::fresh(failures));
        } else {
            self.wait(id, Lane::fresh(failures), due);
        }
    }

    /// The operator changed something: every wait ends now, and items that were done may be back.
    pub fn wake_all(&mut self) {
        self.waiting.clear();
        let ids: Vec<LaneId> = self.known.keys().copied().collect();
        for id in ids {
            match self.known.get_mut(&id) {
                Some(Lane { phase: Phase::Busy { anew, .. }, .. }) => *anew = true,
                Some(lane) => {
                    lane.after = 0;
                    if let (Phase::Waiting(_), lane) = (lane.phase, *lane) {
                        self.queue(id, lane);
                    }
                }
                None => {}
            }
        }
    }

    /// What held them back is over: every wait ends now.
    pub fn end_waits(&mut self) {
        self.waiting.clear();
        let waiting: Vec<(LaneId, Lane)> = self
            .known
            .iter()
            .filter(|(_, lane)| matches!(lane.phase, Phase::Waiting(_)))
            .map(|(id, lane)| (*id, *lane))
            .collect();
        for (id, lane) in waiting {
            self.queue(id, lane);
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
                self.queue(id, lane);
            }
        }
        let id = self.turns.pop_front()?;
        if let Some(lane) = self.known.get_mut(&id) {
            lane.phase = Phase::Busy { more: false, anew: false };
        }
        Some(id)
    }

    /// A turn ended at `now`, and the lane's items up to `done` are done.
    pub fn ended(&mut self, id: LaneId, turn: Turn, done: Option<Seq>, now: Instant) {
        let Some(lane) = self.known.remove(&id) else { return };
        let Phase::Busy { more, anew } = lane.phase else { return };
        let after = if anew { 0 } else { done.map_or(lane.after, |done| done.max(lane.after)) };
        let lane = Lane { after, ..lane };
        match turn {
            Turn::Empty if !more && !anew => {
                self.forget_idle(now);
                self.known.insert(id, Lane { phase: Phase::Idle(now), failures: 0, limit: None, ..lane });
            }
            // A size that went through is doubled for the next request, until nothing is left to try it with.
            Turn::Progress => {
                let limit = lane.limit.map(|limit| limit.saturating_mul(2));
                self.queue(id, Lane { limit, failures: 0, ..lane });
            }
            Turn::Empty => self.queue(id, Lane { failures: 0, limit: None, ..lane }),
            Turn::Smaller(limit) => self.queue(id, Lane { limit: Some(limit.max(1)), ..lane }),
            Turn::Wait { until, failures, limit } => {
                self.wait(id, Lane { failures, limit: limit.or(lane.limit), ..lane }, until);
            }
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

    /// What the lane's turn begins with.
    pub fn begin(&self, id: LaneId, now: Instant) -> Begin {
        let lane = self.known.get(&id).copied().unwrap_or_else(|| Lane::fresh(0));
        let missing_for = lane.missing_since.map_or(Duration::ZERO, |since| now.duration_since(since));
        Begin { after: lane.after, limit: lane.limit, missing_for }
    }

    /// What a reply said about the room's meeting.
    pub fn meeting(&mut self, id: LaneId, meeting: Meeting, now: Instant) {
        let Some(lane) = self.known.get_mut(&id) else { return };
        match meeting {
            Meeting::Unchanged => {}
            Meeting::Missing => lane.missing_since = lane.missing_since.or(Some(now)),
            Meeting::Found => lane.missing_since = None,
        }
    }

    /// Forgets lanes that have been idle for long: by now the outbox has written down what they did.
    fn forget_idle(&mut self, now: Instant) {
        if self.known.len() >= MANY {
            self.known
                .retain(|_, lane| !matches!(lane.phase, Phase::Idle(since) if now - since > REMEMBERED));
        }
    }

    fn queue(&mut self, id: LaneId, lane: Lane) {
        self.known.insert(id, Lane { phase: Phase::Queued, ..lane });
        self.turns.push_back(id);
    }

    fn wait(&mut self, id: LaneId, lane: Lane, until: Instant) {
        self.known.insert(id, Lane { phase: Phase::Waiting(until), ..lane });
        self.waiting.push(Reverse((until, id)));
    }
}

impl Lane {
    fn fresh(failures: u32) -> Self {
        Self { phase: Phase::Queued, failures, limit: None, after: 0, missing_since: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        lanes.ended(1, Turn::Empty, None, now);
        assert_eq!(lanes.next(now), Some(1), "something arrived during its turn");
        lanes.ended(1, Turn::Empty, None, now);
        lanes.ended(2, Turn::Progress, None, now);
        assert_eq!(lanes.next(now), Some(2));
        lanes.ended(2, Turn::Empty, None, now);
        assert_eq!(lanes.next(now), None);
    }

    #[test]
    fn a_waiting_lane_is_due_at_its_time_and_holds_nobody() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut lanes = Lanes::default();
        lanes.appended(1);
        lanes.appended(2);
        lanes.next(now);
        lanes.ended(1, Turn::Wait { until: now + second, failures: 3, limit: None }, None, now);
        lanes.appended(1);
        assert_eq!(lanes.next(now), Some(2));
        assert!(!lanes.has_turn(now));
        assert_eq!(lanes.next_due(), Some(now + second));
        assert_eq!(lanes.failures(1), 3);
        assert_eq!(lanes.next(now + second), Some(1));
    }

    #[test]
    fn success_forgets_failures_and_tries_more_again() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.restored(1, 5, now, now);
        lanes.next(now);
        lanes.ended(1, Turn::Smaller(0), None, now);
        assert_eq!((lanes.failures(1), lanes.begin(1, now).limit), (5, Some(1)));
        lanes.next(now);
        lanes.ended(1, Turn::Progress, None, now);
        assert_eq!((lanes.failures(1), lanes.begin(1, now).limit), (0, Some(2)));
        lanes.next(now);
        lanes.appended(1);
        lanes.ended(1, Turn::Empty, None, now);
        assert_eq!(lanes.begin(1, now).limit, None);
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

    #[test]
    fn an_ended_wait_is_a_turn_and_nothing_is_claimed_twice_for_it() {
        let (now, hour) = (Instant::now(), Duration::from_hours(1));
        let mut lanes = Lanes::default();
        lanes.appended(1);
        lanes.next(now);
        lanes.ended(1, Turn::Wait { until: now + hour, failures: 2, limit: None }, Some(7), now);
        lanes.end_waits();
        assert_eq!((lanes.next(now), lanes.begin(1, now).after, lanes.failures(1)), (Some(1), 7, 2));
        assert_eq!(lanes.next(now + hour), None, "the old wait is gone");
    }

    #[test]
    fn how_long_a_meeting_is_missing_is_measured_from_the_first_answer_to_the_first_success() {
        let (now, minute) = (Instant::now(), Duration::from_mins(1));
        let missing_for = |lanes: &Lanes, at| lanes.begin(1, at).missing_for;
        let mut lanes = Lanes::default();
        lanes.appended(1);
        lanes.meeting(1, Meeting::Missing, now);
        lanes.meeting(1, Meeting::Missing, now + minute);
        lanes.meeting(1, Meeting::Unchanged, now + minute);
        assert_eq!(missing_for(&lanes, now + minute * 2), minute * 2);
        lanes.meeting(1, Meeting::Found, now + minute * 2);
        assert_eq!(missing_for(&lanes, now + minute * 3), Duration::ZERO);
    }

    #[test]
    fn a_lower_limit_comes_with_a_wait_and_is_kept_by_later_waits() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.appended(1);
        for limit in [Some(250), None] {
            lanes.next(now);
            lanes.ended(1, Turn::Wait { until: now, failures: 3, limit }, None, now);
            assert_eq!(lanes.begin(1, now).limit, Some(250));
        }
    }

    #[test]
    fn a_claim_goes_on_behind_what_is_done_until_an_operator_brings_something_back() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        lanes.appended(1);
        lanes.next(now);
        lanes.ended(1, Turn::Progress, Some(7), now);
        assert_eq!(lanes.begin(1, now).after, 7);
        lanes.next(now);
        lanes.wake_all();
        lanes.ended(1, Turn::Progress, Some(9), now);
        assert_eq!(lanes.begin(1, now).after, 0, "an older item may be ready again");
    }

    #[test]
    fn an_idle_lane_remembers_what_is_done_and_is_forgotten_in_the_end() {
        let now = Instant::now();
        let mut lanes = Lanes::default();
        for id in 0..=i64::try_from(MANY).unwrap() {
            lanes.appended(id);
            lanes.next(now);
            lanes.ended(id, Turn::Progress, Some(5), now);
            lanes.next(now);
            lanes.ended(id, Turn::Empty, None, now);
        }
        lanes.appended(0);
        assert_eq!(lanes.begin(0, now).after, 5);
        let later = now + REMEMBERED + Duration::from_secs(1);
        lanes.next(later);
        lanes.ended(0, Turn::Empty, None, later);
        assert_eq!((lanes.known.len(), lanes.begin(1, now).after), (1, 0));
    }
}
