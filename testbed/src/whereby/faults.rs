//! The levers: what the next calls meet.

use std::collections::VecDeque;
use std::time::Duration;

/// What goes wrong with one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done; the answer has this status and an undocumented body.
    Status(u16),
    /// Nothing is done; the answer is 429 with this `Retry-After`, in seconds.
    TooMany(u32),
    /// The call is done, and its answer held back for so long.
    Slow(Duration),
    /// Nothing is done, and the connection is cut.
    Reset,
    /// The call is done, and the connection is cut in place of the answer.
    LostAnswer,
}

/// The faults that wait for a call.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<(String, Fault)>);

impl Faults {
    pub(super) fn add(&mut self, what: &str, fault: Fault) {
        self.0.push_back((what.to_owned(), fault));
    }

    /// Takes the first fault that waits for this call.
    pub(super) fn take(&mut self, what: &str) -> Option<Fault> {
        let place = self.0.iter().position(|(begin, _)| what.starts_with(begin.as_str()))?;
        self.0.remove(place).map(|(_, fault)| fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_its_call_and_is_met_once() {
        let mut faults = Faults::default();
        faults.add("POST /v1/meetings", Fault::Reset);
        faults.add("", Fault::Status(500));
        assert_eq!(faults.take("GET /v1/meetings"), Some(Fault::Status(500)));
        assert_eq!(faults.take("GET /v1/meetings"), None);
        assert_eq!(faults.take("POST /v1/meetings"), Some(Fault::Reset));
        assert_eq!(faults.take("POST /v1/meetings"), None);
    }
}
