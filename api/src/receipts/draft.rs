//! What is found out about a request while it is handled, for its receipt.
//!
//! The request's task has the draft, so that whoever knows something says it here without being handed anything. Outside of a
//! watched request nothing is kept.

use std::cell::RefCell;

use contract::event::Event;
use contract::problem::ProblemCode;

use crate::domain::receipt::Counts;
use crate::ingest::Outcome;

/// The most rooms that one request gets receipts for. A sender of ours brings one room at a time.
const MAX_ROOMS: usize = 20;

tokio::task_local! {
    static DRAFT: RefCell<Draft>;
}

/// What is known so far.
#[derive(Debug, Default)]
struct Draft {
    /// The rooms that were spoken of, and what became of their events.
    rooms: Vec<(Option<String>, Counts)>,
    /// The places in `rooms` of events whose outcome is awaited, with how many come in a row.
    awaited: Vec<(usize, usize)>,
}

/// Runs `work` with a draft, and returns what was written into it.
pub async fn watch<T>(work: impl Future<Output = T>) -> (T, Vec<(Option<String>, Counts)>) {
    DRAFT
        .scope(RefCell::default(), async {
            let done = work.await;
            (done, DRAFT.with(|draft| draft.take().rooms))
        })
        .await
}

/// `events` are about to be stored.
pub fn expect(events: &[Event]) {
    write(|draft| {
        for run in events.chunk_by(|one, other| one.room == other.room) {
            let place = draft.place(Some(run[0].room.as_str()));
            draft.awaited.push((place, run.len()));
        }
    });
}

/// The request is about this room, and brings no event.
pub fn speak_of(room: &str) {
    write(|draft| {
        draft.place(Some(room));
    });
}

/// This became of the events that were about to be stored, in their order.
pub fn settle(outcomes: &[Outcome]) {
    write(|draft| {
        let mut outcomes = outcomes.iter();
        for (place, length) in std::mem::take(&mut draft.awaited) {
            for outcome in outcomes.by_ref().take(length) {
                count(&mut draft.rooms[place].1, outcome);
            }
        }
    });
}

/// The event whose room no meeting has is taken all the same: whoever asks keeps it until its meeting is there.
pub fn keep_stray() {
    write(|draft| {
        for (_, counts) in &mut draft.rooms {
            counts.accept(ProblemCode::MeetingNotFound);
        }
    });
}

/// A part of the request is no event, for this reason.
pub fn reject(code: ProblemCode) {
    write(|draft| {
        let place = if draft.rooms.is_empty() { draft.place(None) } else { 0 };
        draft.rooms[place].1.reject(code);
    });
}

fn count(counts: &mut Counts, outcome: &Outcome) {
    match outcome {
        Outcome::Stored => counts.stored += 1,
        Outcome::Duplicate => counts.duplicates += 1,
        // A test: there is nothing to store.
        Outcome::Acknowledged => {}
        Outcome::MeetingUnknown => counts.reject(ProblemCode::MeetingNotFound),
        Outcome::Refused(_) => counts.reject(ProblemCode::EventInvalid),
    }
}

fn write(change: impl FnOnce(&mut Draft)) {
    let _ = DRAFT.try_with(|draft| change(&mut draft.borrow_mut()));
}

impl Draft {
    /// Where `room` stands; the last place is for all rooms that come after it is taken.
    fn place(&mut self, room: Option<&str>) -> usize {
        if let Some(place) = self.rooms.iter().position(|(known, _)| known.as_deref() == room) {
            return place;
        }
        if self.rooms.len() < MAX_ROOMS {
            self.rooms.push((room.map(ToOwned::to_owned), Counts::default()));
        }
        self.rooms.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn events(rooms: &[&str]) -> Vec<Event> {
        let event = |room: &&str| {
            let body = json!({"event": "e", "room": room, "timestamp": 0, "data": {}});
            Event::parse(body.to_string().as_bytes()).unwrap()
        };
        rooms.iter().map(event).collect()
    }

    #[tokio::test]
    async fn each_room_of_a_request_gets_what_became_of_its_events() {
        let ((), rooms) = watch(async {
            expect(&events(&["a", "a", "b", "a"]));
            settle(&[Outcome::Stored, Outcome::Duplicate, Outcome::MeetingUnknown, Outcome::Stored]);
            reject(ProblemCode::JsonInvalid);
        })
        .await;
        let a = Counts { stored: 2, duplicates: 1, rejected: 1, code: Some(ProblemCode::JsonInvalid) };
        let b = Counts { rejected: 1, code: Some(ProblemCode::MeetingNotFound), ..Counts::default() };
        assert_eq!(rooms, [(Some("a".to_owned()), a), (Some("b".to_owned()), b)]);
    }

    #[tokio::test]
    async fn what_never_got_an_outcome_leaves_its_room_and_a_request_with_many_rooms_ends_somewhere() {
        let ((), rooms) = watch(async { expect(&events(&["a"])) }).await;
        assert_eq!(rooms, [(Some("a".to_owned()), Counts::default())]);

        let names: Vec<_> = (0..500).map(|number| format!("room-{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let ((), rooms) = watch(async {
            expect(&events(&names));
            settle(&vec![Outcome::Stored; 500]);
        })
        .await;
        assert_eq!(rooms.len(), MAX_ROOMS);
        assert_eq!(rooms.iter().map(|(_, counts)| counts.stored).sum::<u32>(), 500);
    }

    #[tokio::test]
    async fn a_stray_that_is_kept_was_not_refused_and_what_was_refused_for_another_reason_stays_so() {
        let stray = async |outcome| {
            watch(async {
                expect(&events(&["a"]));
                settle(&[outcome]);
                keep_stray();
            })
            .await
            .1
        };
        assert_eq!(stray(Outcome::MeetingUnknown).await, [(Some("a".to_owned()), Counts::default())]);
        let [(_, refused)] = stray(Outcome::Refused("why".to_owned())).await[..] else { panic!("not one") };
        assert_eq!((refused.rejected, refused.code), (1, Some(ProblemCode::EventInvalid)));
    }

    #[test]
    fn outside_of_a_watched_request_nothing_happens() {
        expect(&events(&["a"]));
        settle(&[Outcome::Stored]);
        reject(ProblemCode::JsonInvalid);
    }
}
