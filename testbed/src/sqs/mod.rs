//! A queue that a bucket notifies: moto, which speaks SQS and S3 and sends one's notifications to the other.
//!
//! It looks at no signature; [`crate::s3`] does. One server is enough for a whole test binary: each [`Place`] in it has a bucket and a
//! queue of its own.

use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::ports;
use crate::process::Process;

const REGION: &str = "us-east-1";
const ACCOUNT: &str = "123456789012";
const ACCESS_KEY: &str = "AKIATESTBED";

/// After how many deliveries a message is put aside.
pub const MAX_DELIVERIES: u32 = 3;

/// The running server. Dropping it ends it.
#[derive(Debug)]
pub struct Moto {
    process: Process,
    port: u16,
}

/// A bucket, and the queue that it notifies.
#[derive(Debug, Clone)]
pub struct Place {
    endpoint: String,
    name: String,
}

/// How many messages a queue has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Nobody holds them.
    pub visible: u64,
    /// Somebody does.
    pub held: u64,
}

impl Moto {
    /// Starts a server on a free loopback port; what it says goes into `directory`.
    pub fn start(directory: &Path) -> Result<Self> {
        let port = ports::free()?;
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/python/bin");
        let mut command = Command::new(tools.join("python3"));
        command.arg(tools.join("moto_server")).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let mut process = Process::spawn("moto", &command, &directory.join("moto.log"))?;
        process.wait_until(Duration::from_mins(1), || ports::answers(port))?;
        Ok(Self { process, port })
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// Makes a bucket and a queue of this name, and another queue for what nobody can read.
    pub fn place(&self, name: &str) -> Result<Place> {
        let place = Place { endpoint: self.endpoint(), name: name.to_owned() };
        place.s3("PUT", "", b"")?;
        place.sqs("CreateQueue", &json!({"QueueName": place.dead_name()}))?;
        let redrive =
            json!({"deadLetterTargetArn": arn(&place.dead_name()), "maxReceiveCount": MAX_DELIVERIES});
        place.sqs(
            "CreateQueue",
            &json!({"QueueName": name, "Attributes": {"RedrivePolicy": redrive.to_string()}}),
        )?;
        let rules = format!(
            "<NotificationConfiguration><QueueConfiguration><Queue>{}</Queue><Event>s3:ObjectCreated:*</Event>\
             <Event>s3:ObjectRemoved:*</Event></QueueConfiguration></NotificationConfiguration>",
            arn(name)
        );
        place.s3("PUT", "?notification", rules.as_bytes())?;
        Ok(place)
    }
}

impl Place {
    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.name
    }

    /// The queue's address.
    pub fn queue_url(&self) -> String {
        format!("{}/{ACCOUNT}/{}", self.endpoint, self.name)
    }

    /// The variables with which `reflector-api` keeps recordings in the bucket and listens to the queue.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("RECORDING_STORAGE_BACKEND", "aws".to_owned()),
            ("RECORDING_STORAGE_AWS_BUCKET_NAME", self.name.clone()),
            ("RECORDING_STORAGE_AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("RECORDING_STORAGE_AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("RECORDING_STORAGE_AWS_SECRET_ACCESS_KEY", "0011223344556677".to_owned()),
            ("AWS_PROCESS_RECORDING_QUEUE_URL", self.queue_url()),
            ("SQS_POLLING_TIMEOUT_SECONDS", "1".to_owned()),
        ]
    }

    /// Puts an object there, of which the bucket notifies the queue. `key` stands as it is in an address.
    pub fn put(&self, key: &str, bytes: &[u8]) -> Result<()> {
        self.s3("PUT", &format!("/{key}"), bytes).map(drop)
    }

    /// Has the bucket make versions of its objects from now on.
    pub fn make_versions(&self) -> Result<()> {
        let status = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
        self.s3("PUT", "?versioning", status)
    }

    /// Removes an object.
    pub fn remove(&self, key: &str) -> Result<()> {
        self.s3("DELETE", &format!("/{key}"), b"").map(drop)
    }

    /// The names and values of an object's headers; `None` when there is no such object.
    pub fn head(&self, key: &str) -> Option<Vec<(String, String)>> {
        let answer = self.send("HEAD", &format!("/{}/{key}", self.name), "s3", &[], b"").ok()?;
        let text = |value: &ureq::http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
        Some(answer.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect())
    }

    /// Sends a message to the queue.
    pub fn say(&self, body: &str) -> Result<()> {
        self.sqs("SendMessage", &json!({"QueueUrl": self.queue_url(), "MessageBody": body})).map(drop)
    }

    /// How many messages the queue has.
    pub fn count(&self) -> Result<Count> {
        self.count_of(&self.queue_url())
    }

    /// How many messages were put aside.
    pub fn dead(&self) -> Result<u64> {
        let url = format!("{}/{ACCOUNT}/{}", self.endpoint, self.dead_name());
        Ok(self.count_of(&url)?.visible)
    }

    fn dead_name(&self) -> String {
        format!("{}-dead", self.name)
    }

    fn count_of(&self, url: &str) -> Result<Count> {
        let answer = self.sqs("GetQueueAttributes", &json!({"QueueUrl": url, "AttributeNames": ["All"]}))?;
        let number = |name: &str| {
            let text = answer["Attributes"][name].as_str().context("a queue has a count")?;
            Ok::<u64, anyhow::Error>(text.parse()?)
        };
        Ok(Count {
            visible: number("ApproximateNumberOfMessages")?,
            held: number("ApproximateNumberOfMessagesNotVisible")?,
        })
    }

    fn s3(&self, method: &str, path: &str, body: &[u8]) -> Result<()> {
        self.send(method, &format!("/{}{path}", self.name), "s3", &[], body).map(drop)
    }

    fn sqs(&self, action: &str, request: &Value) -> Result<Value> {
        let target = format!("AmazonSQS.{action}");
        let headers = [("x-amz-target", target.as_str()), ("content-type", "application/x-amz-json-1.0")];
        let answer = self.send("POST", "/", "sqs", &headers, request.to_string().as_bytes())?;
        let mut text = String::new();
        answer.into_body().into_reader().read_to_string(&mut text)?;
        Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
    }

    fn send(
        &self,
        method: &str,
        path: &str,
        service: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<ureq::http::Response<ureq::Body>> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            // Moto finds out by it which service is meant, and does not look at the rest.
            .header(
                "authorization",
                format!(
                    "AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, \
                     Signature=0"
                ),
            );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let config = ureq::config::Config::builder().http_status_as_error(false).build();
        let answer = ureq::Agent::new_with_config(config).run(request.body(body.to_vec())?)?;
        let status = answer.status();
        ensure!(status.is_success(), "{method} {path} was answered {status}");
        Ok(answer)
    }
}

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}
