//! The fault levers of the sink.

use std::collections::HashMap;
use std::time::Duration;

use contract::problem::ProblemCode;
use serde::{Deserialize, Serialize};

/// What the sink does wrong at the moment. The default is nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Every delivery is answered like this and nothing is taken in.
    pub refuse_all: Option<Refusal>,
    /// The events are taken in, then the connection is closed without an answer.
    pub lost_acknowledgements: Option<LostAcknowledgements>,
    /// Events that are refused by themselves, by id.
    pub poison: HashMap<String, ProblemCode>,
    /// The status with which a lone poison event is refused; the code's own status when absent.
    pub poison_status: Option<u16>,
    /// A request that carries one of these events fails as a whole with 500, as with a defect that one event's content brings
    /// out.
    pub breaking: Vec<String>,
    /// How long every answer is held back, in milliseconds.
    pub delay_ms: u64,
    /// Batches are answered with 415, like a server that knows single events only.
    pub refuse_ndjson: bool,
}

impl Faults {
    /// How long every answer is held back.
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms)
    }
}

/// The answer to every delivery while [`Faults::refuse_all`] is set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The `Retry-After` header, in seconds.
    #[serde(default)]
    pub retry_after_seconds: Option<u32>,
    /// Who seems to have written the body.
    pub body: RefusalBody,
}

/// Who seems to have written the body of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalBody {
    /// Our API: problem JSON with a code of the contract.
    Problem(ProblemCode),
    /// A proxy in between: an HTML page.
    ProxyPage,
}

impl Refusal {
    /// A refusal as our API writes it, with the code's own status.
    pub fn problem(code: ProblemCode) -> Self {
        Self { status: code.status(), retry_after_seconds: None, body: RefusalBody::Problem(code) }
    }

    /// A refusal as a proxy writes it.
    pub fn proxy_page(status: u16) -> Self {
        Self { status, retry_after_seconds: None, body: RefusalBody::ProxyPage }
    }
}

/// A share of the requests whose answer never arrives.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LostAcknowledgements {
    /// The share of requests, 0 to 100.
    pub percent: u8,
    /// The seed of the choice, so that a run can be repeated.
    pub seed: u64,
}

impl LostAcknowledgements {
    /// Whether the answer to the `n`-th request is lost: the same for the same seed, and no run of requests is unlucky.
    pub fn loses(self, n: u64) -> bool {
        mixed(self.seed ^ mixed(n)) % 100 < u64::from(self.percent)
    }
}

/// The finaliser of `SplitMix64`: neighbouring inputs give unrelated outputs.
fn mixed(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_asked_share_of_answers_is_lost_and_the_same_ones_each_time() {
        let lever = LostAcknowledgements { percent: 5, seed: 7 };
        let lost: Vec<u64> = (0..10_000).filter(|&n| lever.loses(n)).collect();
        assert!((400..600).contains(&lost.len()), "{} of 10,000", lost.len());
        assert!(lost.iter().all(|&n| lever.loses(n)));
        let longest_run = lost.chunk_by(|a, b| a + 1 == *b).map(<[u64]>::len).max();
        assert!(longest_run < Some(6), "{longest_run:?} in a row");
    }

    #[test]
    fn levers_are_read_from_json_and_unknown_ones_are_named() {
        let faults: Faults = serde_json::from_str(
            r#"{"refuse_all":{"status":503,"body":{"problem":"unavailable"}},"delay_ms":5}"#,
        )
        .unwrap();
        assert_eq!(faults.refuse_all.unwrap().body, RefusalBody::Problem(ProblemCode::Unavailable));
        let error = serde_json::from_str::<Faults>(r#"{"dealy_ms":5}"#).unwrap_err();
        assert!(error.to_string().contains("dealy_ms"), "{error}");
    }
}
