//! The queue of notifications about objects in the bucket: SQS, or anything that speaks it.

use std::time::Duration;

use reqwest::Url;

use super::http::is_web_address;
use super::reader::Reader;
use super::secret::Secret;

const QUEUE: &str = "AWS_PROCESS_RECORDING_QUEUE_URL";
const WAIT: &str = "SQS_POLLING_TIMEOUT_SECONDS";

/// The existing Reflector uses these for the queue; without them, the keys of the recordings' storage do.
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
    /// Its region, as the address says, else as `TRANSCRIPT_STORAGE_AWS_REGION` or `RECORDING_STORAGE_AWS_REGION` does.
    pub region: String,
    /// The access key's id: `TRANSCRIPT_STORAGE_AWS_ACCESS_KEY_ID`, else `RECORDING_STORAGE_AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// The access key's secret: `TRANSCRIPT_STORAGE_AWS_SECRET_ACCESS_KEY`, else `RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY`.
    pub secret_key: Secret,
    /// How long a poll of an empty queue lasts: `SQS_POLLING_TIMEOUT_SECONDS`, at most 20 s.
    pub wait: Duration,
}

impl Queue {
    /// `None` without a queue, or after an error was noted.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let seconds = reader.within(WAIT, 60, 1..=43_200).min(LONGEST_WAIT);
        let text = reader.text(QUEUE)?;
        let url = address(&text).map_err(|complaint| reader.error(QUEUE, complaint)).ok();
        let [access_key, secret_key, region] =
            if OWN[..2].iter().any(|name| reader.text(name).is_some()) { OWN } else { SHARED };
        let id = reader.text(access_key);
        if id.is_none() {
            reader
                .error(access_key, format!("is not set; {QUEUE} needs an access key that may use the queue"));
        }
        if reader.text(secret_key).is_none() {
            reader.error(secret_key, format!("is not set; {QUEUE} needs it"));
        }
        let secret = reader.secret(secret_key, 8, "aws iam create-access-key");
        let said = url.as_ref().and_then(region_of);
        let region = said.unwrap_or_else(|| reader.text_or(region, "us-east-1"));
        Some(Self {
            url: url?,
            region,
            access_key: id?,
            secret_key: secret?,
            wait: Duration::from_secs(seconds),
        })
    }
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
