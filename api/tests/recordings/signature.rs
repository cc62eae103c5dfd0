//! Requests to the queue are signed as AWS writes it down, over what really goes over the line: moto looks at no signature.

use std::collections::BTreeMap;

use api::queue::Queue;
use contract::id::hex;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::scene::config;

const KEY: &str = "0011223344556677";

/// A request as it came.
struct Wire {
    head: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

async fn read_one(listener: TcpListener) -> Wire {
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.unwrap();
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let first = lines.next().unwrap().to_owned();
        let headers: BTreeMap<_, _> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let body = bytes[end + 4..].to_vec();
        if body.len() >= headers["content-length"].parse().unwrap() {
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
            return Wire { head: first, headers, body };
        }
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// The signature that belongs to a request to SQS.
fn expected(wire: &Wire, signed: &str, date: &str) -> String {
    let headers: Vec<_> = signed.split(';').map(|name| format!("{name}:{}\n", wire.headers[name])).collect();
    let headers = headers.concat();
    let canonical = format!("POST\n/\n\n{headers}\n{signed}\n{}", hex(&Sha256::digest(&wire.body)));
    let scope = format!("{}/eu-west-1/sqs/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
    let steps = [&date[..8], "eu-west-1", "sqs", "aws4_request"];
    let key = steps.iter().fold(format!("AWS4{KEY}").into_bytes(), |key, step| mac(&key, step));
    hex(&mac(&key, &text))
}

#[tokio::test]
async fn what_is_sent_to_the_queue_is_what_was_signed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let variables = [
        ("AWS_PROCESS_RECORDING_QUEUE_URL", format!("http://{address}/123456789012/recordings")),
        ("TRANSCRIPT_STORAGE_AWS_REGION", "eu-west-1".to_owned()),
        ("TRANSCRIPT_STORAGE_AWS_ACCESS_KEY_ID", "AKIAEXAMPLE".to_owned()),
        ("TRANSCRIPT_STORAGE_AWS_SECRET_ACCESS_KEY", KEY.to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let queue = Queue::new(config(&variables.into()).queue.unwrap()).unwrap();
    let (wire, answer) = tokio::join!(read_one(listener), queue.attributes());
    answer.unwrap();
    assert_eq!(wire.head, "POST / HTTP/1.1");
    assert_eq!(wire.headers["x-amz-target"], "AmazonSQS.GetQueueAttributes");
    let date = &wire.headers["x-amz-date"];
    let signed = "content-type;host;x-amz-date;x-amz-target";
    let signature = expected(&wire, signed, date);
    assert_eq!(
        wire.headers["authorization"],
        format!(
            "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/{}/eu-west-1/sqs/aws4_request, SignedHeaders={signed}, Signature={signature}",
            &date[..8]
        )
    );
}
