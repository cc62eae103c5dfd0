//! The API as the model sees it: which events it holds, and what it answers.

use std::collections::{HashMap, HashSet};

use agent::delivery::client::Reply;
use agent::outbox::model::Claimed;
use contract::batch::{BatchReply, EventResult, EventStatus};
use contract::event::Label;
use contract::problem::ProblemCode;
use contract::verdict::Outcome;
use proptest::prelude::*;

/// How the API meets a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// It stores the events and says so.
    Stores,
    /// It stores the events, and the answer is lost.
    LosesTheAnswer,
    /// Nothing arrives.
    IsAway,
    /// It refuses the request with this status; a proxy wrote the body.
    Refuses(u16),
    /// It refuses the first event that it does not hold for good, and stores the rest.
    RefusesOne,
}

pub(super) fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        6 => Just(Mood::Stores),
        2 => Just(Mood::LosesTheAnswer),
        1 => Just(Mood::IsAway),
        3 => prop::sample::select(vec![200, 401, 404, 413, 415, 429, 500, 502, 503]).prop_map(Mood::Refuses),
        1 => Just(Mood::RefusesOne),
    ]
}

/// What the API has.
#[derive(Debug, Default)]
pub(super) struct Api {
    held: HashSet<String>,
    refused: HashSet<String>,
    /// The bodies of each room in the order in which they were stored.
    pub(super) stored: HashMap<String, Vec<Vec<u8>>>,
}

impl Api {
    /// Meets a request.
    pub(super) fn answer(&mut self, items: &[Claimed], mood: Mood) -> Reply {
        match mood {
            Mood::IsAway => reply(Outcome::Unreachable, None, false),
            Mood::Refuses(status) => reply(answered(status), None, false),
            Mood::Stores | Mood::LosesTheAnswer | Mood::RefusesOne => {
                let mut refuse = mood == Mood::RefusesOne;
                let results: Vec<EventResult> =
                    items.iter().map(|item| self.result(item, &mut refuse)).collect();
                if mood == Mood::LosesTheAnswer {
                    return reply(Outcome::Unreachable, None, false);
                }
                match &results[..] {
                    [EventResult { code: Some(code), .. }] => {
                        let outcome = Outcome::Answered { status: 422, code: Some(*code), retry_after: None };
                        reply(outcome, None, false)
                    }
                    [_] => reply(answered(200), None, true),
                    _ => reply(answered(200), Some(BatchReply { results }), true),
                }
            }
        }
    }

    fn result(&mut self, item: &Claimed, refuse: &mut bool) -> EventResult {
        let id = item.id.clone();
        let status = if self.held.contains(&id) {
            EventStatus::Duplicate
        } else if self.refused.contains(&id) || std::mem::take(refuse) {
            self.refused.insert(id.clone());
            EventStatus::Rejected
        } else {
            self.held.insert(id.clone());
            let room = Label::parse(&item.body).unwrap().room.as_str().to_owned();
            self.stored.entry(room).or_default().push(item.body.to_vec());
            EventStatus::Stored
        };
        let code = (status == EventStatus::Rejected).then_some(ProblemCode::EventInvalid);
        EventResult { id, status, code, detail: None }
    }
}

fn answered(status: u16) -> Outcome {
    Outcome::Answered { status, code: None, retry_after: None }
}

fn reply(outcome: Outcome, results: Option<BatchReply>, acknowledged: bool) -> Reply {
    Reply {
        outcome,
        took_ms: 1,
        note: String::new(),
        server_time: None,
        next_step: None,
        results,
        acknowledged,
        wrong_name: false,
    }
}
