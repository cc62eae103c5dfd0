use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::*;
use crate::config::finding::Severity;
use crate::config::reader::Surroundings;

const KEY: &str = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln";
const SECRET: &str = "5c1d6f0a9b8e7d3c2f4a";

fn read(variables: &[(&str, &str)]) -> (Whereby, Vec<(String, Severity)>) {
    let variables: BTreeMap<_, _> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read_file = |path: &Path| match path.to_str() {
        Some("/logo.png") => Ok([PNG, b"rest"].concat()),
        Some("/logo.jpg") => Ok(b"\xff\xd8".to_vec()),
        _ => Err(io::Error::from(io::ErrorKind::NotFound)),
    };
    let surroundings = Surroundings { read_file: &read_file, is_root: false };
    let mut reader = Reader::new(&variables, &surroundings);
    let recordings = WherebyRecordings::read(&mut reader);
    let whereby = Whereby::read(&mut reader, recordings);
    let findings = reader.into_findings();
    assert!(findings.iter().all(|finding| !finding.message.contains("hunter2")), "{findings:?}");
    (whereby, findings.into_iter().map(|finding| (finding.variable, finding.severity)).collect())
}

#[test]
fn without_any_variable_there_is_no_whereby_and_nothing_to_say() {
    let (whereby, findings) = read(&[]);
    assert_eq!(whereby.meetings, Err(vec![API_KEY]));
    assert!(whereby.webhook_secrets.is_empty() && findings.is_empty());
}

#[test]
fn both_ways_of_naming_the_bucket_are_understood() {
    let recordings = |access_key: &str, names: usize| WherebyRecordings {
        bucket: "recordings/whereby".to_owned(),
        region: "eu-central-1".to_owned(),
        access_key: access_key.to_owned(),
        secret_key: Secret::new("0a1b2c3d4e"),
        key_variables: [ACCESS_KEY[names], SECRET_KEY[names]],
    };
    let key = [(API_KEY, KEY), (WEBHOOK_SECRET, SECRET)];
    let guide = [
        (BUCKET[1], "recordings/whereby/"),
        (REGION[1], "eu-central-1"),
        (ACCESS_KEY[1], "AKGUIDE"),
        (SECRET_KEY[1], "0a1b2c3d4e"),
    ];
    let newer = [
        (BUCKET[0], "recordings/whereby"),
        (REGION[0], "eu-central-1"),
        (ACCESS_KEY[0], "AKNEWER"),
        (SECRET_KEY[0], "0a1b2c3d4e"),
    ];
    for (variables, access_key, names) in [
        ([&key[..], &guide].concat(), "AKGUIDE", 1),
        ([&key[..], &newer].concat(), "AKNEWER", 0),
        ([&key[..], &guide, &newer].concat(), "AKNEWER", 0),
    ] {
        let (whereby, findings) = read(&variables);
        let meetings = whereby.meetings.unwrap();
        assert_eq!(meetings.recordings, Some(recordings(access_key, names)));
        assert_eq!((meetings.api_url.as_str(), meetings.points_per_minute), (PRODUCTION, 100));
        assert_eq!(findings, []);
    }
}

#[test]
fn what_will_not_work_is_said() {
    let (whereby, findings) = read(&[(API_KEY, KEY), ("RECORDING_STORAGE_AWS_BUCKET_NAME", "own")]);
    assert_eq!(whereby.meetings.unwrap().recordings, None);
    let warnings = [WEBHOOK_SECRET, BUCKET[0]].map(|name| (name.to_owned(), Severity::Warning));
    assert_eq!(findings, warnings);
}

#[test]
fn whatever_is_wrong_is_found_at_once() {
    let (_, findings) = read(&[
        (API_URL, "ftp://hunter2@whereby"),
        (API_KEY, "your-whereby-jwt-api-key"),
        (WEBHOOK_SECRET, "hunter2,,your-webhook-secret-from-whereby"),
        (BUCKET[1], "your-s3-bucket-name"),
        (ACCESS_KEY[1], "your-aws-access-key"),
        (SECRET_KEY[1], "your-aws-secret-key"),
        (LOGO, "/logo.jpg"),
        (POINTS, "many"),
    ]);
    let mut errors: Vec<_> = findings
        .iter()
        .filter(|(_, severity)| *severity == Severity::Error)
        .map(|(name, _)| name.as_str())
        .collect();
    errors.sort_unstable();
    let mut expected = vec![
        API_URL,
        API_KEY,
        WEBHOOK_SECRET,
        WEBHOOK_SECRET,
        BUCKET[1],
        ACCESS_KEY[1],
        SECRET_KEY[1],
        LOGO,
        POINTS,
    ];
    expected.sort_unstable();
    assert_eq!(errors, expected);
}

#[test]
fn half_a_bucket_is_none() {
    for (variables, missing) in [
        (vec![(BUCKET[0], "recordings")], vec![ACCESS_KEY[0], SECRET_KEY[0]]),
        (vec![(ACCESS_KEY[1], "AK1")], vec![BUCKET[0], SECRET_KEY[0]]),
        (vec![(BUCKET[0], "a b"), (ACCESS_KEY[1], "AK1"), (SECRET_KEY[1], "0a1b2c3d4e")], vec![BUCKET[0]]),
    ] {
        let errors: Vec<_> = read(&variables).1.into_iter().map(|(name, _)| name).collect();
        assert_eq!(errors, missing, "{variables:?}");
    }
}

#[test]
fn a_logo_is_a_png() {
    let (whereby, _) = read(&[(API_KEY, KEY), (LOGO, "/logo.png")]);
    assert!(whereby.meetings.unwrap().logo.unwrap().starts_with(PNG));
}
