//! The queue of notifications about objects in the bucket: SQS, or anything that speaks it.

use std::time::Duration;

use reqwest::Url;

use super::http::is_web_address;
use super::reader::Reader;
use super::secret::Secret;
use super::whereby::WherebyRecordings;

const QUEUE: &str = "AWS_PROCESS_RECORDING_QUEUE_URL";
const WAIT: &str = "SQS_POLLING_TIMEOUT_SECONDS";

/// The existing Reflector uses these for the queue; without them, the key of the recordings' storage does, and then the one for Whereby.
const OWN: [&str; 3] = [
    "TRANSCRIPT_STORAGE_AWS_ACCESS_KEY_ID",
    "TRANSCRIPT_STORAGE_AWS_SECRET_ACCESS_KEY",
    "TRANSCRIPT_STORAGE_AWS_REGION",
];
const SHARED: [&str; 3] = [
    "RECORDING_STORAGE_AWS_ACCESS_KEY_ID",
    "RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY",
    "RECORDING_STORAGE_AWS_REGION",
];

/// The longest that a poll can wait: the limit of SQS.
const LONGEST_WAIT: u64 = 20;

/// The queue that notifications come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its address: `AWS_PROCESS_RECORDING_QUEUE_URL`.
    pub url: Url,
    /// Its region, as the address says, else as the region's variable that belongs to the key.
    pub region: String,
    /// The access key's id: `TRANSCRIPT_STORAGE_AWS_ACCESS_KEY_ID`, else `RECORDING_STORAGE_AWS_ACCESS_KEY_ID`, else the one for Whereby.
    pub access_key: String,
    /// The access key's secret: `TRANSCRIPT_STORAGE_AWS_SECRET_ACCESS_KEY`, else `RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY`, else the one for
    /// Whereby.
    pub secret_key: Secret,
    /// The variables that named the two.
    pub key_variables: [&'static str; 2],
    /// How long a poll of an empty queue lasts: `SQS_POLLING_TIMEOUT_SECONDS`, at most 20 s.
    pub wait: Duration,
}

/// What requests to the queue are signed with, and the region where the address does not say it.
struct Key {
    id: String,
    secret: Secret,
    variables: [&'static str; 2],
    region: String,
}

impl Queue {
    /// `None` without a queue, or after an error was noted.
    pub(super) fn read(reader: &mut Reader<'_>, of_whereby: Option<&WherebyRecordings>) -> Option<Self> {
        let seconds = reader.within(WAIT, 60, 1..=43_200).min(LONGEST_WAIT);
        let text = reader.text(QUEUE)?;
        let url = address(&text).map_err(|complaint| reader.error(QUEUE, complaint)).ok();
        let key = key(reader, of_whereby);
        let (url, key) = (url?, key?);
        Some(Self {
            region: region_of(&url).unwrap_or(key.region),
            url,
            access_key: key.id,
            secret_key: key.secret,
            key_variables: key.variables,
            wait: Duration::from_secs(seconds),
        })
    }
}

/// The first key that is set, of the three that may be for the queue.
fn key(reader: &mut Reader<'_>, of_whereby: Option<&WherebyRecordings>) -> Option<Key> {
    for names in [OWN, SHARED] {
        if names[..2].iter().any(|name| reader.text(name).is_some()) {
            return named_key(reader, names);
        }
    }
    if !WherebyRecordings::has_key(reader) {
        reader.error(
            SHARED[0],
            format!(
                "is not set; {QUEUE} needs an access key that may use the queue: name one here, as {} or as AWS_WHEREBY_ACCESS_KEY_ID",
                OWN[0]
            ),
        );
    }
    of_whereby.map(|whereby| Key {
        id: whereby.access_key.clone(),
        secret: whereby.secret_key.clone(),
        variables: whereby.key_variables,
        region: whereby.region.clone(),
    })
}

fn named_key(reader: &mut Reader<'_>, [id, secret, region]: [&'static str; 3]) -> Option<Key> {
    let variables = [id, secret];
    for name in variables {
        if reader.text(name).is_none() {
            reader.error(name, format!("is not set; {QUEUE} needs it"));
        }
    }
    let id = reader.text(id);
    let secret = reader.secret(secret, 8, "aws iam create-access-key");
    let region = reader.text_or(region, "us-east-1");
    Some(Key { id: id?, secret: secret?, variables, region })
}

/// The address of a queue that a storage can notify.
fn address(text: &str) -> Result<Url, String> {
    if text.starts_with("arn:") {
        let name = text.rsplit(':').next().unwrap_or_default();
        return Err(format!(
            "is the queue's ARN; set its URL, which this prints: aws sqs get-queue-url --queue-name {name}"
        ));
    }
    let form =
        "is no queue's URL; write it like https://sqs.eu-central-1.amazonaws.com/123456789012/recordings";
    let url = Url::parse(text).ok().filter(|_| is_web_address(text)).ok_or(form)?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(form.to_owned());
    }
    let names: Vec<_> = url.path().split('/').filter(|name| !name.is_empty()).collect();
    if names.is_empty() || url.path().ends_with('/') {
        return Err(
            "lacks the account and the queue's name at its end, like /123456789012/recordings".to_owned()
        );
    }
    if url.host_str() == Some("sqs.region.amazonaws.com") || names == ["account", "queue"] {
        return Err(
            "is still the placeholder of the guide; aws sqs get-queue-url prints the queue's own".to_owned()
        );
    }
    if names.last().and_then(|name| name.rsplit_once('.')).is_some_and(|(_, end)| end == "fifo") {
        return Err("is a FIFO queue, which storages do not notify; make a standard one".to_owned());
    }
    Ok(url)
}

/// The region that AWS writes into the address.
fn region_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    let host = host.strip_suffix(".amazonaws.com").or_else(|| host.strip_suffix(".amazonaws.com.cn"))?;
    let region = host.strip_prefix("sqs.").or_else(|| host.strip_suffix(".queue"))?;
    Some(region.to_owned())
}

#[cfg(test)]
mod tests;
