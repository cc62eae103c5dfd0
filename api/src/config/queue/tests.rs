use std::io;
use std::path::Path;

use super::*;
use crate::config::{Config, Finding, Severity, Surroundings};

const AWS: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/recordings";
const KEYS: &[(&str, &str)] = &[(SHARED[0], "AKIAEXAMPLE"), (SHARED[1], "9f8e7d6c5b4a39281706f5e4d3c2b1a0")];

fn read(variables: &[(&str, &str)]) -> Result<Option<Queue>, Vec<Finding>> {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let read_file = |_: &Path| Err(io::Error::from(io::ErrorKind::NotFound));
    let config = Config::read(&variables, &Surroundings { read_file: &read_file, is_root: false })?.0;
    Ok(config.queue)
}

fn queue(changes: &[(&str, &str)]) -> Queue {
    read(&[KEYS, changes].concat()).unwrap().unwrap()
}

#[test]
fn the_region_is_the_address_s_own_or_the_one_that_is_set() {
    for (changes, expected) in [
        (vec![(QUEUE, AWS), (SHARED[2], "us-west-2")], "eu-west-1"),
        (vec![(QUEUE, "https://eu-north-1.queue.amazonaws.com/1/q")], "eu-north-1"),
        (vec![(QUEUE, "https://sqs.cn-north-1.amazonaws.com.cn/1/q")], "cn-north-1"),
        (vec![(QUEUE, "http://localhost:9324/000000000000/q"), (SHARED[2], "us-west-2")], "us-west-2"),
        (vec![(QUEUE, "http://localhost:9324/queue/q")], "us-east-1"),
    ] {
        assert_eq!(queue(&changes).region, expected, "{changes:?}");
    }
}

#[test]
fn the_key_is_the_first_of_three_that_is_set_and_only_none_is_an_error() {
    const SECRET: &str = "00112233445566778899aabbccddeeff";
    const BUCKET: (&str, &str) = ("RECORDING_STORAGE_AWS_BUCKET_NAME", "recordings");
    const LOCAL: (&str, &str) = (QUEUE, "http://localhost:9324/1/q");
    let own = [(OWN[0], "AKIAOWN"), (OWN[1], SECRET), (OWN[2], "eu-north-1")];
    let shared = [(SHARED[0], "AKIASHARED"), (SHARED[1], SECRET), (SHARED[2], "eu-south-1")];
    let guide = ["AWS_WHEREBY_ACCESS_KEY_ID", "AWS_WHEREBY_ACCESS_KEY_SECRET"];
    let newer = ["WHEREBY_STORAGE_AWS_ACCESS_KEY_ID", "WHEREBY_STORAGE_AWS_SECRET_ACCESS_KEY"];
    let of_guide = [(guide[0], "AKIAGUIDE"), (guide[1], SECRET), BUCKET];
    let of_newer = [(newer[0], "AKIANEWER"), (newer[1], SECRET), ("WHEREBY_STORAGE_AWS_REGION", "eu-west-3")];
    for (variables, key, names, region) in [
        ([&own[..], &shared, &of_guide].concat(), "AKIAOWN", [OWN[0], OWN[1]], "eu-north-1"),
        ([&shared[..], &of_guide].concat(), "AKIASHARED", [SHARED[0], SHARED[1]], "eu-south-1"),
        ([&of_newer[..], &of_guide].concat(), "AKIANEWER", newer, "eu-west-3"),
        (of_guide.to_vec(), "AKIAGUIDE", guide, "us-east-1"),
    ] {
        let found = read(&[&variables[..], &[LOCAL]].concat()).unwrap().unwrap();
        let seen = (found.access_key.as_str(), found.key_variables, found.region.as_str());
        assert_eq!(seen, (key, names, region));
    }
    let errors = |variables: &[(&str, &str)]| {
        let findings = read(&[variables, &[LOCAL]].concat()).unwrap_err();
        let errors = findings.into_iter().filter(|finding| finding.severity == Severity::Error);
        errors.map(|finding| finding.variable).collect::<Vec<_>>()
    };
    assert_eq!(errors(&[]), [SHARED[0]]);
    assert_eq!(errors(&[BUCKET, (guide[0], "AKIAGUIDE")]), [newer[1]], "half a key is told of once");
    assert_eq!(errors(&[(SHARED[0], "AKIASHARED")]), [SHARED[1]]);
}

#[test]
fn a_poll_lasts_as_long_as_sqs_allows_at_most() {
    for (seconds, expected) in [("5", 5), ("20", 20), ("60", 20)] {
        assert_eq!(queue(&[(QUEUE, AWS), (WAIT, seconds)]).wait.as_secs(), expected);
    }
    assert_eq!(queue(&[(QUEUE, AWS)]).wait.as_secs(), 20);
}

#[test]
fn what_is_no_queue_is_refused_with_the_next_step() {
    assert_eq!(read(&[]).unwrap(), None);
    for (url, word) in [
        ("arn:aws:sqs:eu-west-1:123456789012:recordings", "get-queue-url --queue-name recordings"),
        ("https://sqs.region.amazonaws.com/account/queue", "placeholder"),
        ("https://sqs.eu-west-1.amazonaws.com/", "lacks the account"),
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/recordings.fifo", "standard"),
        ("sqs.eu-west-1.amazonaws.com/123456789012/recordings", "https://"),
        ("https://me:hunter2@sqs.eu-west-1.amazonaws.com/1/q", "https://sqs"),
    ] {
        let findings = read(&[KEYS, &[(QUEUE, url)]].concat()).unwrap_err();
        let found = findings.iter().find(|finding| finding.variable == QUEUE).unwrap();
        assert!(found.message.contains(word) && !found.message.contains("hunter2"), "{url}: {found}");
    }
    let findings = read(&[(QUEUE, AWS), (OWN[0], "AKIAOTHER"), (WAIT, "soon")]).unwrap_err();
    let named: Vec<_> = findings.iter().map(|finding| finding.variable.as_str()).collect();
    assert!(named.contains(&OWN[1]) && named.contains(&WAIT), "{named:?}");
}
