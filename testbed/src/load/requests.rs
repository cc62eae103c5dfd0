//! Signed requests for the API, made before they are sent so that making them costs the measurement nothing.

use std::io::Write;

use contract::batch;
use contract::signature::{self, Secrets};
use time::OffsetDateTime;

use super::Lines;

/// A whole HTTP request, ready for the wire.
#[derive(Debug, Clone)]
pub struct Request {
    /// Head and body.
    pub bytes: Vec<u8>,
    /// How many events it carries.
    pub events: usize,
}

/// Makes requests from a supply of lines.
#[derive(Debug)]
pub struct Requests<'a> {
    /// Where the events come from.
    pub lines: &'a mut Lines,
    /// What signs them.
    pub secrets: &'a Secrets,
    /// The events of one request; 1 makes a lone event, more a batch.
    pub events_each: usize,
}

impl Requests<'_> {
    /// Makes the next request, dated and signed `now`.
    pub fn next_at(&mut self, now: OffsetDateTime) -> Request {
        let mut body = Vec::new();
        let mut id = String::new();
        for number in 0..self.events_each {
            let line = self.lines.next_at(now);
            if number > 0 {
                body.push(b'\n');
            }
            body.extend_from_slice(line.text.as_bytes());
            id = line.id;
        }
        let content_type = if self.events_each == 1 { batch::JSON } else { batch::NDJSON };
        let signed = self.secrets.sign(&id, now.unix_timestamp(), &body);
        let head = [
            ("host", "127.0.0.1"),
            ("content-type", content_type),
            ("content-length", &body.len().to_string()),
            (signature::JITSI_SIGNATURE, &signed.jitsi),
            (signature::WEBHOOK_ID, &id),
            (signature::WEBHOOK_TIMESTAMP, &signed.timestamp),
            (signature::WEBHOOK_SIGNATURE, &signed.standard),
        ];
        let mut bytes = b"POST /v1/jitsi/events HTTP/1.1\r\n".to_vec();
        for (name, value) in head {
            write!(bytes, "{name}: {value}\r\n").expect("a vector takes every write");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&body);
        Request { bytes, events: self.events_each }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use super::*;
    use crate::sink::Sink;

    #[test]
    fn a_sink_that_checks_signatures_takes_lone_events_and_batches() {
        let secrets = Secrets::parse("a-secret-for-this-test").unwrap();
        let sink = Sink::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), Some(secrets.clone())).unwrap();
        let mut lines = Lines::in_rooms(3, 2);
        let mut stream = TcpStream::connect(sink.address()).unwrap();
        for (events_each, arrived) in [(1, 1), (5, 6)] {
            let mut requests = Requests { lines: &mut lines, secrets: &secrets, events_each };
            stream.write_all(&requests.next_at(OffsetDateTime::now_utc()).bytes).unwrap();
            assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
            assert_eq!(sink.ledger(|ledger| (ledger.distinct(), ledger.bad_signatures())), (arrived, 0));
        }
    }
}
