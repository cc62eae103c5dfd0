//! A section's keys with their types, key by key: what is wrong with one hides nothing of the others.

use toml::{Table, Value};

use super::Finding;
use super::finding::Section;

/// The section that these keys make. A key that is unknown, or of the wrong type, is added to `findings` and left at its
/// default.
pub(super) fn typed<S: Section>(keys: &Table, findings: &mut Vec<Finding>) -> S {
    let mut good = Table::new();
    for (key, value) in keys {
        let alone = Table::from_iter([(key.clone(), value.clone())]);
        match alone.try_into::<S>() {
            Ok(_) => {
                good.insert(key.clone(), value.clone());
            }
            Err(error) => {
                let problem = refusal(S::NAME, value, error.message());
                findings.push(Finding::error(format!("{}.{key}", S::NAME), problem));
            }
        }
    }
    good.try_into().unwrap_or_else(|error| {
        findings.push(Finding::error(S::NAME, super::layers::one_line(error.message())));
        S::default()
    })
}

/// Why a key was refused and what to write, in the words of whoever writes the file. `message` is the parser's.
///
/// A value is shown only where a list belongs: no list holds a secret.
fn refusal(section: &str, value: &Value, message: &str) -> String {
    let expected = message.rsplit_once("expected ").map_or("", |(_, expected)| expected);
    if message.starts_with("unknown field ") {
        let keys = expected.trim_start_matches("one of ");
        return format!("is not a key of [{section}]: its keys are {keys}");
    }
    match (expected, value) {
        ("a boolean", _) => "must be true or false, without quotes".into(),
        ("u64" | "usize", _) => "must be a whole number, 0 or more, without quotes".into(),
        ("a sequence", Value::String(_)) => {
            format!("must be a list: write {}", Value::Array(vec![value.clone()]))
        }
        ("a sequence", _) => "must be a list of texts, as in [\"one\", \"two\"]".into(),
        ("a string" | "path string", Value::Array(_)) if !message.starts_with("invalid type: sequence") => {
            "must hold texts alone, as in [\"one\", \"two\"]".into()
        }
        ("a string" | "path string", _) => "must be a text in quotes".into(),
        _ if message.contains("socket address") => {
            "must be an address with a port, as in \"127.0.0.1:9471\"".into()
        }
        // The names that a choice has.
        (names, Value::String(_)) if names.starts_with('`') || names.starts_with("one of `") => {
            format!("must be {names}")
        }
        _ => "is no value that this key takes: write a text in quotes as the documentation shows".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Api, EventSync, Jibri, Log, Outbox, Recordings, Spool, Upload};
    use super::*;

    fn refused<S: Section>(text: &str) -> Vec<(String, String)> {
        let mut findings = Vec::new();
        let _: S = typed(&text.parse().unwrap(), &mut findings);
        findings.into_iter().map(|finding| (finding.key, finding.problem)).collect()
    }

    #[test]
    fn what_a_key_takes_is_said_in_plain_words() {
        for (found, key, expected) in [
            (refused::<Spool>("enabled = \"yes\""), "spool.enabled", "must be true or false, without quotes"),
            (refused::<Spool>("directory = 3"), "spool.directory", "must be a text in quotes"),
            (refused::<Spool>("directory = [\"/x\"]"), "spool.directory", "must be a text in quotes"),
            (refused::<Spool>("rescan-seconds = \"10\""), "spool.rescan-seconds", "must be a whole number"),
            (refused::<Spool>("rescan-seconds = -1"), "spool.rescan-seconds", "must be a whole number, 0 or"),
            (refused::<Upload>("parallel-parts = 1.5"), "upload.parallel-parts", "must be a whole number"),
            (refused::<Upload>("parallel-parts = -1"), "upload.parallel-parts", "must be a whole number"),
            (
                refused::<Recordings>("roots = \"/var/recordings\""),
                "recordings.roots",
                "must be a list: write [\"/var/recordings\"]",
            ),
            (refused::<Recordings>("roots = 3"), "recordings.roots", "must be a list of texts"),
            (refused::<Recordings>("roots = [3]"), "recordings.roots", "must hold texts alone"),
            (refused::<Api>("rooms = [[\"a\"]]"), "api.rooms", "must be a text"),
            (refused::<Api>("url = 3"), "api.url", "must be a text in quotes"),
            (refused::<Api>("proxy = true"), "api.proxy", "must be a text in quotes"),
            (refused::<Api>("secret-file = 3"), "api.secret-file", "must be a text in quotes"),
            (refused::<Jibri>("health-url = 3"), "jibri.health-url", "must be a text in quotes"),
            (refused::<EventSync>("listen = \"9471\""), "event-sync.listen", "an address with a port"),
            (refused::<EventSync>("listen = 9471"), "event-sync.listen", "an address with a port"),
            (refused::<Log>("format = \"xml\""), "log.format", "must be one of `auto`, `text`, `json`"),
            (refused::<Log>("format = 3"), "log.format", "is no value that this key takes"),
            (refused::<Outbox>("max-bytes = 1979-05-27"), "outbox.max-bytes", "must be a whole number"),
            (
                refused::<Outbox>("folder = \"/x\""),
                "outbox.folder",
                "is not a key of [outbox]: its keys are `directory`, `max-bytes`, `keep-settled-days`",
            ),
        ] {
            assert_eq!(found.len(), 1, "{key}: {found:?}");
            assert_eq!(found[0].0, key);
            assert!(found[0].1.contains(expected), "{found:?}");
        }
    }

    #[test]
    fn a_bad_key_leaves_the_good_ones() {
        let mut findings = Vec::new();
        let text = "directroy = \"/x\"\nenabled = 3\nrescan-seconds = 7\ndirectory = \"/srv/spool\"\n";
        let spool: Spool = typed(&text.parse().unwrap(), &mut findings);
        assert_eq!((spool.rescan_seconds, spool.enabled), (7, true));
        assert_eq!(spool.directory, std::path::Path::new("/srv/spool"));
        let keys: Vec<&str> = findings.iter().map(|finding| finding.key.as_str()).collect();
        assert_eq!(keys, ["spool.directroy", "spool.enabled"]);
    }

    #[test]
    fn a_refused_value_is_not_repeated_where_a_secret_could_stand() {
        for text in ["secret = \"hunter2\"", "url = [\"hunter2\"]", "connect-timeout-seconds = \"hunter2\""] {
            let found = refused::<Api>(text);
            assert!(!found.is_empty() && !format!("{found:?}").contains("hunter2"), "{found:?}");
        }
    }
}
