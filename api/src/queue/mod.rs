//! The queue: everything that speaks SQS, in its JSON protocol.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::config;

mod error;

pub use error::QueueError;

/// How long a connection may take.
const CONNECT_PATIENCE: Duration = Duration::from_secs(5);

/// How long an answer may take beyond what a poll is to wait.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most messages that are handed out at a time: the limit of SQS.
pub const BATCH: usize = 10;

/// The largest answer that is read. Messages have 256 KiB, or 1 MiB at most, and JSON may double them.
const MAX_ANSWER: usize = 24 * 1024 * 1024;

/// A queue.
pub struct Queue {
    settings: config::Queue,
    endpoint: Url,
    credentials: Credentials,
    client: Client,
}

/// A message that this process holds until its visibility time is over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Message {
    /// Its id.
    #[serde(rename = "MessageId")]
    pub id: String,
    /// What it is deleted by.
    #[serde(rename = "ReceiptHandle")]
    receipt: String,
    /// What it says.
    #[serde(rename = "Body")]
    pub body: String,
    #[serde(rename = "Attributes", default)]
    attributes: Received,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Received {
    #[serde(rename = "ApproximateReceiveCount", default)]
    count: String,
}

impl Message {
    /// How often it has been handed out, about.
    pub fn deliveries(&self) -> u32 {
        self.attributes.count.parse().unwrap_or(1)
    }
}

/// How a queue is set up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attributes {
    /// How many messages wait, about.
    pub waiting: u64,
    /// Whether what fails again and again is put aside.
    pub has_redrive: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Queue({self})")
    }
}

impl std::fmt::Display for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the queue {}", self.settings.url)
    }
}

impl Queue {
    /// The queue that `settings` describe. Nothing is asked of it yet.
    pub fn new(settings: config::Queue) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen already; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .user_agent(concat!("reflector-api/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_PATIENCE)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let mut endpoint = settings.url.clone();
        endpoint.set_path("/");
        let credentials =
            Credentials::from_keys(settings.access_key.clone(), settings.secret_key.expose(), None);
        Ok(Self { settings, endpoint, credentials, client })
    }

    /// What an operator can do about `error`: the variable to look at, and the next step.
    pub fn advice(&self, error: &QueueError) -> (&'static str, &'static str) {
        error.advice(self.settings.key_variables)
    }

    /// Messages, for `hold` nobody else's; waits for a while when there are none.
    pub async fn receive(&self, hold: Duration) -> Result<Vec<Message>, QueueError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Messages", default)]
            messages: Vec<Message>,
        }
        let request = json!({
            "QueueUrl": self.settings.url.as_str(),
            "MaxNumberOfMessages": BATCH,
            "WaitTimeSeconds": self.settings.wait.as_secs(),
            "VisibilityTimeout": hold.as_secs(),
            // The older name is what servers other than AWS know.
            "AttributeNames": ["ApproximateReceiveCount"],
        });
        let answer: Answer = self.ask("ReceiveMessage", &request, self.settings.wait + PATIENCE).await?;
        Ok(answer.messages)
    }

    /// Deletes messages for good; returns how many of them are not.
    pub async fn delete(&self, messages: &[&Message]) -> Result<usize, QueueError> {
        self.for_each("DeleteMessageBatch", messages, &json!({})).await
    }

    /// Keeps messages for another `hold`; nothing gives them back.
    pub async fn hold(&self, messages: &[&Message], hold: Duration) -> Result<usize, QueueError> {
        let member = json!({"VisibilityTimeout": hold.as_secs()});
        self.for_each("ChangeMessageVisibilityBatch", messages, &member).await
    }

    /// How the queue is set up. This needs no message, so it proves address and keys.
    pub async fn attributes(&self) -> Result<Attributes, QueueError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Attributes", default)]
            attributes: serde_json::Map<String, Value>,
        }
        let request = json!({"QueueUrl": self.settings.url.as_str(), "AttributeNames": ["All"]});
        let Answer { attributes } = self.ask("GetQueueAttributes", &request, PATIENCE).await?;
        let waiting = attributes.get("ApproximateNumberOfMessages").and_then(Value::as_str);
        Ok(Attributes {
            waiting: waiting.and_then(|number| number.parse().ok()).unwrap_or_default(),
            has_redrive: attributes.contains_key("RedrivePolicy"),
        })
    }

    async fn for_each(
        &self,
        action: &str,
        messages: &[&Message],
        member: &Value,
    ) -> Result<usize, QueueError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Failed", default)]
            failed: Vec<Value>,
        }
        if messages.is_empty() {
            return Ok(0);
        }
        let entry = |(place, message): (usize, &&Message)| {
            let mut entry = member.clone();
            entry["Id"] = json!(place.to_string());
            entry["ReceiptHandle"] = json!(message.receipt);
            entry
        };
        let entries: Vec<_> = messages.iter().enumerate().map(entry).collect();
        let request = json!({"QueueUrl": self.settings.url.as_str(), "Entries": entries});
        let answer: Answer = self.ask(action, &request, PATIENCE).await?;
        Ok(answer.failed.len())
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        action: &str,
        request: &Value,
        patience: Duration,
    ) -> Result<T, QueueError> {
        let signed = self.signed(action, request.to_string())?;
        let work = async {
            let sent = self.client.execute(signed).await;
            let mut answer = sent.map_err(|error| QueueError::silent(&error))?;
            let status = answer.status().as_u16();
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(|error| QueueError::silent(&error))? {
                if bytes.len() + chunk.len() > MAX_ANSWER {
                    return Err(QueueError::Unreadable("it is too long".to_owned()));
                }
                bytes.extend_from_slice(&chunk);
            }
            if status == 200 { read(&bytes) } else { Err(refusal(status, &bytes)) }
        };
        tokio::time::timeout(patience, work)
            .await
            .unwrap_or_else(|_| Err(QueueError::Silent(format!("no answer within {} s", patience.as_secs()))))
    }

    fn signed(&self, action: &str, body: String) -> Result<reqwest::Request, QueueError> {
        let unsigned = |error: &dyn std::fmt::Display| QueueError::Unsigned(error.to_string());
        let mut request = http::Request::post(self.endpoint.as_str())
            .header(http::header::HOST, authority(&self.endpoint))
            .header(http::header::CONTENT_TYPE, "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"))
            .body(body)
            .map_err(|error| unsigned(&error))?;
        let identity = self.credentials.clone().into();
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.settings.region)
            .name("sqs")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let headers = request.headers().iter();
        let headers = headers.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let body = SignableBody::Bytes(request.body().as_bytes());
        let signable = SignableRequest::new("POST", self.endpoint.as_str(), headers, body)
            .map_err(|error| unsigned(&error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| unsigned(&error))?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        reqwest::Request::try_from(request).map_err(|error| unsigned(&error))
    }
}

/// Host and port, as the header has them.
fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, QueueError> {
    // An empty queue may be answered with nothing at all.
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    serde_json::from_slice(bytes).map_err(|error| QueueError::Unreadable(error.to_string()))
}

fn refusal(status: u16, bytes: &[u8]) -> QueueError {
    #[derive(Default, Deserialize)]
    struct Refusal {
        #[serde(rename = "__type", default)]
        kind: String,
        // Some servers write both.
        #[serde(default)]
        message: Option<String>,
        #[serde(rename = "Message", default)]
        other: Option<String>,
    }
    let refusal: Refusal = serde_json::from_slice(bytes).unwrap_or_default();
    let code = refusal.kind.rsplit(['#', '.']).next().unwrap_or_default().to_owned();
    QueueError::Refused { status, code, message: refusal.message.or(refusal.other).unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_answer_is_read_in_their_dialects() {
        for (body, code) in [
            (r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"}"#, "QueueDoesNotExist"),
            (r#"{"__type":"AWS.SimpleQueueService.NonExistentQueue","Message":"no"}"#, "NonExistentQueue"),
            (
                r#"{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"a","Message":"b"}"#,
                "QueueDoesNotExist",
            ),
            ("<html></html>", ""),
        ] {
            let QueueError::Refused { code: found, .. } = refusal(400, body.as_bytes()) else { panic!() };
            assert_eq!(found, code);
        }
        assert_eq!(read::<Vec<u8>>(b"[1]").unwrap(), [1]);
        assert_eq!(read::<Value>(b" ").unwrap(), json!({}));
        let message: Message =
            serde_json::from_str(r#"{"MessageId":"m","ReceiptHandle":"r","Body":"b"}"#).unwrap();
        assert_eq!(message.deliveries(), 1);
    }

    #[test]
    fn a_queue_is_never_printed_with_its_keys() {
        let settings = config::Queue {
            url: Url::parse("http://localhost:9324/1/q").unwrap(),
            region: "us-east-1".into(),
            access_key: "AKIAEXAMPLE".into(),
            secret_key: config::Secret::new("hunter2hunter2"),
            key_variables: ["ID", "SECRET"],
            wait: Duration::from_secs(1),
        };
        let queue = Queue::new(settings).unwrap();
        assert_eq!(format!("{queue:?}"), "Queue(the queue http://localhost:9324/1/q)");
        let request = queue.signed("ReceiveMessage", "{}".to_owned()).unwrap();
        let credential = request.headers()[http::header::AUTHORIZATION].to_str().unwrap().to_owned();
        assert!(credential.contains("/us-east-1/sqs/aws4_request"), "{credential}");
        assert!(
            credential.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-target"),
            "{credential}"
        );
        assert_eq!(request.url().as_str(), "http://localhost:9324/");
    }
}
