//! What arrived: every id, how often, when first, and in which order within its room.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

/// One id's history at the sink.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// How often the id was accepted; more than once means duplicates.
    pub count: u32,
    /// When it was accepted first.
    pub first: Instant,
}

/// Everything the sink has seen since it started. Only what it *accepted* counts as an arrival: an event whose
/// acknowledgement was lost did arrive, an event that was refused did not.
#[derive(Debug, Default)]
pub struct Ledger {
    arrivals: HashMap<Arc<str>, Arrival>,
    rooms: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    refusals: HashMap<Arc<str>, u32>,
    requests: u64,
    accepted_requests: u64,
    bad_signatures: u64,
    span: Option<(Instant, Instant)>,
}

impl Ledger {
    /// Takes note of an accepted event; true when the id is new.
    pub fn accept(&mut self, id: &str, room: &str, now: Instant) -> bool {
        self.span = Some(self.span.map_or((now, now), |(first, _)| (first, now)));
        if let Some(arrival) = self.arrivals.get_mut(id) {
            arrival.count += 1;
            return false;
        }
        let id: Arc<str> = id.into();
        self.arrivals.insert(Arc::clone(&id), Arrival { count: 1, first: now });
        match self.rooms.get_mut(room) {
            Some(order) => order.push(id),
            None => {
                self.rooms.insert(room.into(), vec![id]);
            }
        }
        true
    }

    /// Takes note of an event that was refused by itself (a poison event).
    pub fn refuse(&mut self, id: &str) {
        *self.refusals.entry(id.into()).or_default() += 1;
    }

    /// Takes note of a request before it is looked at.
    pub fn count_request(&mut self) {
        self.requests += 1;
    }

    /// Takes note that a request's events were taken in.
    pub fn count_accepted_request(&mut self) {
        self.accepted_requests += 1;
    }

    /// Takes note of a request whose signatures did not verify.
    pub fn count_bad_signature(&mut self) {
        self.bad_signatures += 1;
    }

    /// How many different ids arrived.
    pub fn distinct(&self) -> usize {
        self.arrivals.len()
    }

    /// How many times an id arrived that had arrived before.
    pub fn duplicates(&self) -> u64 {
        self.arrivals.values().map(|arrival| u64::from(arrival.count - 1)).sum()
    }

    /// The history of one id.
    pub fn find(&self, id: &str) -> Option<Arrival> {
        self.arrivals.get(id).copied()
    }

    /// Every id that arrived.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.arrivals.keys().map(AsRef::as_ref)
    }

    /// The ids of one room in the order of their first arrival.
    pub fn order(&self, room: &str) -> &[Arc<str>] {
        self.rooms.get(room).map_or(&[], Vec::as_slice)
    }

    /// How often the event was refused by itself.
    pub fn refusals_of(&self, id: &str) -> u32 {
        self.refusals.get(id).copied().unwrap_or(0)
    }

    /// How many requests came in, whatever became of them.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How many requests had their events taken in.
    pub fn accepted_requests(&self) -> u64 {
        self.accepted_requests
    }

    /// How many requests had signatures that did not verify.
    pub fn bad_signatures(&self) -> u64 {
        self.bad_signatures
    }

    /// When the first and the latest event were accepted.
    pub fn span(&self) -> Option<(Instant, Instant)> {
        self.span
    }

    /// Forgets everything, so that a measurement can begin at zero.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_arrival_is_a_duplicate_and_keeps_the_first_ones_place() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        assert!(ledger.accept("evt_1", "a", now));
        assert!(ledger.accept("evt_2", "a", now));
        assert!(ledger.accept("evt_3", "b", now));
        assert!(!ledger.accept("evt_1", "a", now));
        assert_eq!((ledger.distinct(), ledger.duplicates()), (3, 1));
        assert_eq!(ledger.order("a"), ["evt_1".into(), "evt_2".into()]);
        assert_eq!(ledger.find("evt_1").unwrap().count, 2);
    }

    #[test]
    fn a_refused_event_has_not_arrived() {
        let mut ledger = Ledger::default();
        ledger.refuse("evt_1");
        ledger.refuse("evt_1");
        assert_eq!((ledger.distinct(), ledger.refusals_of("evt_1")), (0, 2));
    }
}
