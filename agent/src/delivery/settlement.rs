//! From a reply to what is written down: a pure function of the items, the reply and the time.

use std::time::Duration;

use contract::batch::EventStatus;
use contract::verdict::{self, MEETING_PATIENCE, Outcome, UNKNOWN_FLOOR, Verdict};

use super::client::Reply;
use super::gate::Health;
use crate::outbox::model::{Claimed, Seq};

/// From which failure in a row on requests are cut in two.
const ISOLATE_FROM: u32 = 3;

/// What a reply does to the items of its request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settlement {
    /// The items that the API holds.
    pub settled: Vec<Seq>,
    /// The items that wait for a person, and why.
    pub parked: Vec<(Seq, String)>,
    /// The items that stay, in order.
    pub kept: Vec<Seq>,
    /// How the rest is tried again.
    pub again: Again,
    /// Whether the API said that it knows no meeting for the room.
    pub meeting_is_missing: bool,
}

/// How the items that stay are tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Again {
    /// Nothing stays.
    #[default]
    Nothing,
    /// At once, with at most this many events in a request.
    Smaller(usize),
    /// At once, one event per request from now on: the server takes no batches.
    Singly,
    /// After the backoff, and not before `floor`.
    Later {
        /// The shortest wait.
        floor: Duration,
        /// Whether it makes the next backoff longer.
        counts: bool,
    },
}

/// When a reply came, by two clocks.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    /// The wall clock, in milliseconds since 1970.
    pub now: i64,
    /// For how long this process has been told that the room has no meeting. A clock that is set forward does not make it longer.
    pub missing_for: Duration,
}

/// Decides what a reply does.
pub fn settle(items: &[Claimed], reply: &Reply, moment: Moment) -> Settlement {
    let mut settlement = Settlement::default();
    match verdict::of_answer(reply.outcome, items.len()) {
        Verdict::Settle if items.len() > 1 => settle_batch(items, reply, moment, &mut settlement),
        Verdict::Settle if !reply.acknowledged => keep_all(items, later(UNKNOWN_FLOOR), &mut settlement),
        Verdict::Halve => keep_all(items, Again::Smaller(items.len().div_ceil(2)), &mut settlement),
        Verdict::Singly => keep_all(items, Again::Singly, &mut settlement),
        verdict => {
            for item in items {
                apply(verdict, item, &reply.note, moment, &mut settlement);
            }
        }
    }
    settlement
}

/// How many events the next request may carry after so many failures in a row, where the last one carried `sent` and an
/// event in it may be what makes the API fail: halves, until that event is alone and its neighbours are through.
///
/// A 503 or a refused signature is not about what was sent.
pub fn isolating(outcome: Outcome, sent: usize, failures: u32) -> Option<usize> {
    let suspicious = match outcome {
        Outcome::Unreachable => true,
        Outcome::Answered { status, .. } => status == 408 || (500..=599).contains(&status) && status != 503,
    };
    (suspicious && sent > 1 && failures >= ISOLATE_FROM).then(|| sent.div_ceil(2))
}

/// What an answer says about the API as a whole. One to a single room's content (404, 422, 500 …) says that it is alive.
pub fn health(outcome: Outcome) -> Health {
    match outcome {
        Outcome::Unreachable | Outcome::Answered { status: 401 | 408 | 429 | 502..=504, .. } => {
            Health::Failing
        }
        Outcome::Answered { .. } => Health::Answering,
    }
}

fn settle_batch(items: &[Claimed], reply: &Reply, moment: Moment, settlement: &mut Settlement) {
    let results = reply.results.as_ref().map_or(&[][..], |batch| &batch.results);
    // An answer that does not speak of exactly these events, in this order, proves nothing about any of them.
    let matches = results.len() == items.len()
        && results.iter().zip(items).all(|(result, item)| {
            result.id == item.id || result.id.is_empty() && result.status == EventStatus::Rejected
        });
    if !matches {
        return keep_all(items, later(UNKNOWN_FLOOR), settlement);
    }
    for (item, result) in items.iter().zip(results) {
        let code = result.code.map_or("rejected", contract::problem::ProblemCode::as_str);
        let note = format!("{code}: {}", result.detail.as_deref().unwrap_or("no detail"));
        apply(verdict::of_result(result), item, &note, moment, settlement);
    }
}

fn apply(verdict: Verdict, item: &Claimed, note: &str, moment: Moment, settlement: &mut Settlement) {
    match verdict {
        Verdict::Settle => settlement.settled.push(item.seq),
        Verdict::Park(_) => settlement.parked.push((item.seq, note.to_owned())),
        Verdict::AwaitMeeting if waited_too_long(item, moment) => {
            settlement.parked.push((item.seq, note.to_owned()));
        }
        Verdict::AwaitMeeting => {
            settlement.meeting_is_missing = true;
            keep(item, later(Duration::ZERO), settlement);
        }
        Verdict::Retry { floor, counts } => keep(item, Again::Later { floor, counts }, settlement),
        // Answers to a request as a whole; they do not reach a single item.
        Verdict::Halve | Verdict::Singly => keep(item, later(UNKNOWN_FLOOR), settlement),
    }
}

/// Whether both clocks say so.
fn waited_too_long(item: &Claimed, moment: Moment) -> bool {
    let waited = item.waits_since.map_or(0, |since| moment.now.saturating_sub(since).max(0));
    u128::from(waited.unsigned_abs()) > MEETING_PATIENCE.as_millis() && moment.missing_for > MEETING_PATIENCE
}

const fn later(floor: Duration) -> Again {
    Again::Later { floor, counts: true }
}

fn keep_all(items: &[Claimed], again: Again, settlement: &mut Settlement) {
    for item in items {
        keep(item, again, settlement);
    }
}

/// Keeps an item; of several waits the longest one holds for the lane.
fn keep(item: &Claimed, again: Again, settlement: &mut Settlement) {
    settlement.kept.push(item.seq);
    settlement.again = match (settlement.again, again) {
        (Again::Later { floor: a, counts: b }, Again::Later { floor, counts }) => {
            Again::Later { floor: a.max(floor), counts: b || counts }
        }
        (_, again) => again,
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use contract::batch::{BatchReply, EventResult};
    use contract::problem::ProblemCode;

    use crate::outbox::model::Kind;

    const NOW: i64 = 10_000_000;

    /// A moment at which the meeting has been missing for long.
    fn at(now: i64) -> Moment {
        Moment { now, missing_for: MEETING_PATIENCE * 2 }
    }

    fn items(count: i64) -> Vec<Claimed> {
        (1..=count)
            .map(|seq| Claimed {
                seq,
                id: format!("evt_{seq}"),
                kind: Kind::Event,
                waits_since: Some(NOW),
                body: Bytes::new(),
            })
            .collect()
    }

    fn answered(status: u16, code: Option<ProblemCode>) -> Reply {
        Reply {
            outcome: Outcome::Answered { status, code, retry_after: None },
            took_ms: 1,
            note: "note".into(),
            server_time: None,
            next_step: None,
            results: None,
            acknowledged: status == 200,
            wrong_name: false,
        }
    }

    fn batch(results: &[(&str, EventStatus, Option<ProblemCode>)]) -> Reply {
        let results = results
            .iter()
            .map(|(id, status, code)| EventResult {
                id: (*id).into(),
                status: *status,
                code: *code,
                detail: None,
            })
            .collect();
        Reply { results: Some(BatchReply { results }), ..answered(200, None) }
    }

    #[test]
    fn a_poison_event_is_parked_without_its_neighbours() {
        let reply = batch(&[
            ("evt_1", EventStatus::Stored, None),
            ("evt_2", EventStatus::Rejected, Some(ProblemCode::EventInvalid)),
            ("evt_3", EventStatus::Duplicate, None),
        ]);
        let settlement = settle(&items(3), &reply, at(NOW));
        assert_eq!(settlement.settled, [1, 3]);
        assert_eq!(settlement.parked, [(2, "event_invalid: no detail".to_owned())]);
        assert_eq!(settlement.again, Again::Nothing);
    }

    #[test]
    fn an_answer_about_other_events_settles_nothing() {
        for reply in [
            batch(&[("evt_1", EventStatus::Stored, None)]),
            batch(&[("evt_2", EventStatus::Stored, None), ("evt_1", EventStatus::Stored, None)]),
            answered(200, None),
        ] {
            let settlement = settle(&items(2), &reply, at(NOW));
            assert_eq!((settlement.settled.len(), settlement.kept.len()), (0, 2), "{reply:?}");
            assert_eq!(settlement.again, later(UNKNOWN_FLOOR));
        }
    }

    #[test]
    fn a_two_hundred_without_our_words_is_no_receipt() {
        let reply = Reply { acknowledged: false, ..answered(200, None) };
        assert_eq!(settle(&items(1), &reply, at(NOW)).kept, [1]);
    }

    #[test]
    fn an_event_waits_an_hour_for_its_meeting_and_then_for_a_person() {
        let mut waiting = items(1);
        let reply = answered(404, Some(ProblemCode::MeetingNotFound));
        let hour = i64::try_from(MEETING_PATIENCE.as_millis()).unwrap();
        assert_eq!(settle(&waiting, &reply, at(NOW + hour)).kept, [1]);
        assert_eq!(settle(&waiting, &reply, at(NOW + hour + 1)).parked, [(1, "note".to_owned())]);
        waiting[0].waits_since = None;
        assert_eq!(
            settle(&waiting, &reply, at(NOW + hour + 1)).kept,
            [1],
            "however long it was queued before"
        );
        waiting[0].waits_since = Some(NOW + 1);
        assert_eq!(settle(&waiting, &reply, at(NOW)).kept, [1], "a clock that stepped back parks nothing");
        waiting[0].waits_since = Some(NOW);
        let stepped = Moment { now: NOW + 10 * hour, missing_for: Duration::from_mins(1) };
        assert_eq!(settle(&waiting, &reply, stepped).kept, [1], "nor does one that stepped forward");
    }

    #[test]
    fn a_batch_that_is_too_large_is_halved_and_a_refused_form_is_given_up() {
        assert_eq!(settle(&items(5), &answered(413, None), at(NOW)).again, Again::Smaller(3));
        assert_eq!(settle(&items(5), &answered(415, None), at(NOW)).again, Again::Singly);
    }

    #[test]
    fn what_fails_again_and_again_as_a_whole_is_cut_in_two_each_time() {
        for (status, sent, failures, expected) in [
            (Some(500), 500, 2, None),
            (Some(500), 500, 3, Some(250)),
            (Some(500), 3, 4, Some(2)),
            (Some(500), 1, 9, None),
            (Some(502), 500, 3, Some(250)),
            (None, 500, 3, Some(250)),
            (Some(503), 500, 3, None),
            (Some(429), 500, 3, None),
            (Some(401), 500, 3, None),
            (Some(200), 500, 3, None),
            (Some(404), 500, 3, None),
        ] {
            let outcome = status.map_or(Outcome::Unreachable, |status| answered(status, None).outcome);
            assert_eq!(
                isolating(outcome, sent, failures),
                expected,
                "{status:?} to {sent}, failure {failures}"
            );
        }
    }

    #[test]
    fn a_refusal_of_one_rooms_content_does_not_close_the_gate() {
        for (status, expected) in [
            (200, Health::Answering),
            (404, Health::Answering),
            (422, Health::Answering),
            (500, Health::Answering),
            (401, Health::Failing),
            (429, Health::Failing),
            (503, Health::Failing),
        ] {
            assert_eq!(health(answered(status, None).outcome), expected, "{status}");
        }
    }
}
