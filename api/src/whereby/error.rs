//! What can go wrong with a question to Whereby, and what to do about it.

use std::time::Duration;

use serde::Deserialize;

/// How much of an answer's text is kept for the log.
const MAX_SAID: usize = 500;

/// The wait where Whereby asks for one and does not say how long.
const USUAL_WAIT: Duration = Duration::from_mins(1);

/// The longest wait that is believed.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Whereby did not do what it was asked. The texts are for the log, not for visitors.
#[derive(Debug, thiserror::Error)]
pub enum WherebyError {
    /// The points of this minute are spent.
    #[error("Whereby's rate limit is reached; it may be asked again in {} s", after.as_secs())]
    Throttled {
        /// When there are some again.
        after: Duration,
    },
    /// Whereby objects to the question; nothing was done.
    #[error("Whereby answers {status}: {}; it says {said:?}", remedy(*.status))]
    Refused {
        /// The status, 400 to 499.
        status: u16,
        /// The beginning of what it says.
        said: String,
    },
    /// Whereby failed, or answered what cannot be read. Something may have been done.
    #[error(
        "Whereby answers {status} and something that is of no use: {said:?}; see https://status.whereby.com"
    )]
    Failed {
        /// The status.
        status: u16,
        /// The beginning of what it says.
        said: String,
    },
    /// No answer.
    #[error("Whereby does not answer: {reason}; check WHEREBY_API_URL and the way out of this host")]
    Silent {
        /// What happened.
        reason: String,
        /// Whether the question may have arrived; nothing was done otherwise.
        was_asked: bool,
    },
    /// The points could not be counted.
    #[error("the database cannot count Whereby's points: {0}")]
    Database(#[from] sqlx::Error),
}

fn remedy(status: u16) -> &'static str {
    match status {
        400 | 422 => "it does not like the question",
        401 => "set WHEREBY_API_KEY to a key from Whereby's dashboard that is not expired",
        403 => "the plan or the key does not allow it; ask Whereby for API access",
        404 => "it knows no such room, or WHEREBY_API_URL does not end with /v1",
        _ => "an answer that is not documented",
    }
}

impl WherebyError {
    /// What an answer other than success means.
    pub(super) fn of(status: u16, retry_after: Option<&str>, body: &[u8]) -> Self {
        match status {
            429 => Self::Throttled { after: wait(retry_after, body) },
            400..=499 => Self::Refused { status, said: beginning(body) },
            _ => Self::Failed { status, said: beginning(body) },
        }
    }

    /// The error's kind, for metrics.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } | Self::Database(_) => "failed",
            Self::Silent { .. } => "silent",
        }
    }

    /// Whether Whereby certainly did nothing.
    pub fn changed_nothing(&self) -> bool {
        match self {
            Self::Throttled { .. } | Self::Refused { .. } | Self::Database(_) => true,
            Self::Failed { .. } => false,
            Self::Silent { was_asked, .. } => !was_asked,
        }
    }
}

/// How long Whereby wants to be left alone: by its header, else by its body. An absurd wait is cut.
fn wait(retry_after: Option<&str>, body: &[u8]) -> Duration {
    #[derive(Deserialize)]
    struct Body {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(rename = "msLeft", alias = "ms_left")]
        milliseconds: u64,
    }
    let told = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    let in_body = || serde_json::from_slice::<Body>(body).ok().map(|body| body.data.milliseconds);
    let wait = told.or_else(|| in_body().map(Duration::from_millis)).unwrap_or(USUAL_WAIT);
    wait.clamp(Duration::from_secs(1), LONGEST_WAIT)
}

/// The beginning of a text that may be anything.
pub(super) fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(4 * MAX_SAID)]).chars().take(MAX_SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_from_wherever_it_stands() {
        for (header, body, expected) in [
            (Some("7"), r#"{"error":"e","data":{"msLeft":9000}}"#, 7),
            (None, r#"{"error":"e","data":{"msLeft":9000}}"#, 9),
            (None, r#"{"error":"e","data":{"ms_left":9000}}"#, 9),
            (Some("Sun, 01 Mar 2026 10:00:00 GMT"), "", 60),
            (None, "<html>", 60),
            (Some("0"), "", 1),
            (Some("86400"), "", 300),
        ] {
            assert_eq!(wait(header, body.as_bytes()).as_secs(), expected, "{header:?} {body}");
        }
    }

    #[test]
    fn only_what_may_have_been_done_counts_as_such() {
        for (error, expected) in [
            (WherebyError::of(429, None, b""), true),
            (WherebyError::of(403, None, b"no"), true),
            (WherebyError::of(500, None, b"oh"), false),
            (WherebyError::of(201, None, b"<html>"), false),
            (WherebyError::Silent { reason: String::new(), was_asked: true }, false),
            (WherebyError::Silent { reason: String::new(), was_asked: false }, true),
        ] {
            assert_eq!(error.changed_nothing(), expected, "{error}");
        }
    }

    #[test]
    fn an_error_names_the_next_step_and_cuts_what_whereby_says() {
        let error = WherebyError::of(401, None, "é".repeat(10_000).as_bytes()).to_string();
        assert!(error.contains("set WHEREBY_API_KEY") && error.chars().count() < MAX_SAID + 200, "{error}");
    }
}
