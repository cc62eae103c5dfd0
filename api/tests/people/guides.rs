//! What the guides tell people to set, what `docs/guides.md` says of them, and whether the tests that it names are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use api::config::{Config, Finding, Severity, Surroundings, Variables};

/// Every variable that the guides name: as the guide writes it, as it could be, and as it cannot be. `None` where the guide's own value
/// will do, or where any text will.
const VARIABLES: &[(&str, &str, Option<&str>, Option<&str>)] = &[
    ("JITSI_DOMAIN", "meet.example.com", None, Some("https://meet.example.com/")),
    ("JITSI_JWT_SECRET", "your-64-character-hex-secret-here", Some(HEX), Some("short")),
    ("JITSI_WEBHOOK_SECRET", "your-32-character-hex-secret-here", Some(HEX), Some("short")),
    ("JITSI_APP_ID", "reflector", None, None),
    ("JITSI_JWT_ISSUER", "reflector", None, None),
    ("JITSI_JWT_AUDIENCE", "jitsi", None, None),
    ("REFLECTOR_API_URL", "http://localhost:1250", None, None),
    ("WHEREBY_API_KEY", "your-whereby-jwt-api-key", Some(HEX), Some("short")),
    ("WHEREBY_WEBHOOK_SECRET", "your-webhook-secret-from-whereby", Some(HEX), Some("short")),
    ("AWS_WHEREBY_ACCESS_KEY_ID", "your-aws-access-key", Some("AKIAEXAMPLE0WHEREBY0"), None),
    ("AWS_WHEREBY_ACCESS_KEY_SECRET", "your-aws-secret-key", Some(HEX), Some("short")),
    ("RECORDING_STORAGE_AWS_BUCKET_NAME", "your-s3-bucket-name", Some("recordings"), Some("a bucket")),
    ("WHEREBY_API_URL", "https://api.whereby.dev/v1", None, Some("api.whereby.dev")),
    (
        "AWS_PROCESS_RECORDING_QUEUE_URL",
        "https://sqs.region.amazonaws.com/account/queue",
        Some("https://sqs.eu-central-1.amazonaws.com/123456789012/recordings"),
        Some("arn:aws:sqs:eu-central-1:123456789012:recordings"),
    ),
    ("SQS_POLLING_TIMEOUT_SECONDS", "60", None, Some("soon")),
];

const HEX: &str = "9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0";

/// What no guide mentions: who may call.
const BESIDES: &[(&str, &str)] = &[("AUTH_BACKEND", "jwt"), ("AUTH_JWT_SECRET", HEX)];

/// All variables as they could be, with one of them changed.
fn complete(changed: Option<(&str, &str)>) -> Variables {
    let set = VARIABLES.iter().map(|(name, guide, own, _)| (*name, own.unwrap_or(guide)));
    let all = set.chain(BESIDES.iter().copied()).chain(changed);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn read(variables: &Variables) -> Result<(Config, Vec<Finding>), Vec<Finding>> {
    let read_file = |path: &Path| fs::read(path);
    Config::read(variables, &Surroundings { read_file: &read_file, is_root: false })
}

/// The variables with errors.
fn refused(variables: &Variables) -> BTreeSet<String> {
    let findings = read(variables).map_or_else(|findings| findings, |(_, warnings)| warnings);
    let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
    errors.map(|finding| finding.variable).collect()
}

#[test]
fn the_guides_variables_are_all_that_both_platforms_need() {
    let (config, findings) = read(&complete(None)).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
    let jitsi = config.jitsi.meetings.unwrap();
    assert_eq!(
        (&*jitsi.domain, &*jitsi.issuer, &*jitsi.audience),
        ("meet.example.com", "reflector", "jitsi")
    );
    let whereby = config.whereby.meetings.unwrap();
    assert_eq!(whereby.api_url.as_str(), "https://api.whereby.dev/v1");
    assert_eq!(whereby.recordings.unwrap().bucket, "recordings");
    assert_eq!(config.whereby.webhook_secrets.len(), 1);
    let (queue, storage) = (config.queue.unwrap(), config.storage.unwrap());
    assert_eq!((&*queue.region, &*queue.access_key), ("eu-central-1", "AKIAEXAMPLE0WHEREBY0"));
    let seen = (&*storage.bucket, &*storage.access_key, storage.takes_uploads);
    assert_eq!(seen, ("recordings", "AKIAEXAMPLE0WHEREBY0", false));
}

#[test]
fn each_variable_is_read_and_a_value_that_cannot_be_is_refused_by_its_name() {
    for (name, _, _, bad) in VARIABLES {
        let Some(bad) = bad else { continue };
        let refused = refused(&complete(Some((name, bad))));
        assert_eq!(refused, BTreeSet::from([(*name).to_owned()]), "{name}={bad}");
    }
    let issuer = |name, value| {
        let mut variables = complete(Some((name, value)));
        variables.remove(if name == "JITSI_APP_ID" { "JITSI_JWT_ISSUER" } else { "JITSI_APP_ID" });
        read(&variables).unwrap().0.jitsi.meetings.unwrap()
    };
    assert_eq!(issuer("JITSI_APP_ID", "other").issuer, "other");
    assert_eq!(issuer("JITSI_JWT_ISSUER", "other").issuer, "other");
    assert_eq!(issuer("JITSI_JWT_AUDIENCE", "other").audience, "other");
}

#[test]
fn a_placeholder_that_was_left_standing_is_refused_by_its_name() {
    for (name, guide, own, _) in VARIABLES {
        let expected: BTreeSet<_> = own.iter().map(|_| (*name).to_owned()).collect();
        assert_eq!(refused(&complete(Some((name, guide)))), expected, "{name}={guide}");
    }
}

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts in backticks.
fn quoted(document: &str) -> BTreeSet<&str> {
    document.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_guides_page_speaks_of_every_variable() {
    let page = fs::read_to_string(project().join("docs/guides.md")).unwrap();
    let quoted = quoted(&page);
    for (name, ..) in VARIABLES {
        assert!(quoted.contains(name), "{name} is not in docs/guides.md");
    }
}

fn sources(directory: &Path, found: &mut String) {
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Whether a text in backticks is the name of a test: a sentence, which may end with an ellipsis.
fn is_test(text: &str) -> bool {
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:…".contains(c);
    text.matches('_').count() >= 4 && text.chars().all(is_letter)
}

#[test]
fn every_test_that_a_page_names_is_there() {
    let mut found = String::new();
    for directory in [
        "api/src",
        "api/tests",
        "agent/src",
        "agent/tests",
        "contract/src",
        "host/src",
        "packaging/src",
        "packaging/tests",
        "testbed/tests",
    ] {
        sources(&project().join(directory), &mut found);
    }
    for name in ["docs/guides.md", "docs/guarantees.md"] {
        let page = fs::read_to_string(project().join(name)).unwrap();
        let tests: Vec<_> = quoted(&page).into_iter().filter(|text| is_test(text)).collect();
        assert!(tests.len() > 20, "{name}: {tests:?}");
        for test in tests {
            let function = test.rsplit("::").next().unwrap();
            let function =
                function.strip_suffix('…').map_or(format!("fn {function}("), |begin| format!("fn {begin}"));
            assert!(found.contains(&function), "{name} names {test}");
        }
    }
}
