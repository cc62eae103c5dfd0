//! The sink over real sockets: what its levers do to a client.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use contract::signature::Secrets;

use super::*;

const EVENT: &str = r#"{"id":"evt_1","event":"muc-room-created","room":"r","timestamp":0,"data":{}}"#;

/// Posts one event on a connection of its own; `None` when no answer comes.
fn post(sink: &Sink, headers: &str) -> io::Result<Option<u16>> {
    let mut stream = TcpStream::connect(sink.address())?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(
        stream,
        "POST /v1/jitsi/events HTTP/1.1\r\nhost: sink\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n{headers}\r\n{EVENT}",
        EVENT.len()
    )?;
    let mut answer = String::new();
    // A cut connection is an answer too: none.
    let _ = stream.read_to_string(&mut answer);
    Ok(answer.get(9..12).and_then(|status| status.parse().ok()))
}

#[test]
fn a_closed_sink_refuses_and_an_opened_one_takes_again_on_the_same_port() {
    let sink = Sink::start().unwrap();
    for round in 1..=3 {
        assert_eq!(post(&sink, "").unwrap(), Some(200));
        sink.close().unwrap();
        assert_eq!(post(&sink, "").unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        sink.open().unwrap();
        assert_eq!(post(&sink, "").unwrap(), Some(200));
        assert_eq!(sink.ledger(|ledger| (ledger.distinct(), ledger.duplicates())), (1, round * 2 - 1));
    }
}

#[test]
fn a_lost_acknowledgement_cuts_the_connection_after_taking_the_event_in() {
    let sink = Sink::start().unwrap();
    let lost_acknowledgements = Some(LostAcknowledgements { percent: 100, seed: 1 });
    sink.set_faults(Faults { lost_acknowledgements, ..Faults::default() });
    assert_eq!(post(&sink, "").unwrap(), None);
    assert_eq!(sink.ledger(Ledger::distinct), 1);
}

#[test]
fn with_secrets_a_request_needs_both_signatures() {
    let secrets = Secrets::parse("a-secret-for-this-test").unwrap();
    let sink = Sink::start_with(SocketAddr::from(([127, 0, 0, 1], 0)), Some(secrets.clone())).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let signed = secrets.sign("evt_1", i64::try_from(now).unwrap(), EVENT.as_bytes());
    let guide = format!("x-jitsi-signature: {}\r\n", signed.jitsi);
    let both = format!(
        "{guide}webhook-id: evt_1\r\nwebhook-timestamp: {}\r\nwebhook-signature: {}\r\n",
        signed.timestamp, signed.standard
    );
    assert_eq!(post(&sink, "").unwrap(), Some(401));
    assert_eq!(post(&sink, &guide).unwrap(), Some(401));
    assert_eq!(post(&sink, &both).unwrap(), Some(200));
    assert_eq!(sink.ledger(|ledger| (ledger.distinct(), ledger.bad_signatures())), (1, 2));
}
