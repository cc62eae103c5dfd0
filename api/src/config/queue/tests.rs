use std::io;
use std::path::Path;

use super::*;
use crate::config::{Config, Finding, Surroundings};

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
fn the_keys_are_the_existing_reflector_s_or_those_of_the_storage() {
    let own = [(OWN[0], "AKIAOTHER"), (OWN[1], "00112233445566778899aabbccddeeff"), (QUEUE, AWS)];
    assert_eq!(queue(&own).access_key, "AKIAOTHER");
    assert_eq!(queue(&[(QUEUE, AWS)]).access_key, "AKIAEXAMPLE");
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
