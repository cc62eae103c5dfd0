//! The signatures against values made elsewhere: the golden vectors, and the public `standardwebhooks` library.

use contract::signature::{Presented, Secrets};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vector {
    why: String,
    secret: String,
    id: String,
    timestamp: i64,
    body: String,
    jitsi: String,
    standard: String,
}

fn vectors() -> Vec<Vector> {
    let vectors: Vec<Vector> =
        serde_json::from_str(include_str!("../vectors/signatures.json")).expect("the vectors are JSON");
    assert!(!vectors.is_empty());
    vectors
}

#[test]
fn signing_gives_the_golden_signatures() {
    for vector in vectors() {
        let headers = Secrets::parse(&vector.secret).unwrap().sign(
            &vector.id,
            vector.timestamp,
            vector.body.as_bytes(),
        );
        assert_eq!(headers.jitsi, vector.jitsi, "{}", vector.why);
        assert_eq!(headers.standard, vector.standard, "{}", vector.why);
        assert_eq!(headers.timestamp, vector.timestamp.to_string(), "{}", vector.why);
    }
}

#[test]
fn the_golden_signatures_verify() {
    for vector in vectors() {
        let timestamp = vector.timestamp.to_string();
        let presented = Presented {
            jitsi: Some(&vector.jitsi),
            id: Some(&vector.id),
            timestamp: Some(&timestamp),
            standard: Some(&vector.standard),
        };
        let secrets = Secrets::parse(&vector.secret).unwrap();
        let verified = secrets.verify(presented, vector.body.as_bytes(), vector.timestamp, true);
        assert_eq!(verified, Ok(()), "{}", vector.why);
    }
}

/// The library verifies against the real clock, so this test signs for now.
#[test]
fn the_public_library_accepts_what_we_sign_and_we_accept_what_it_signs() {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let (secret, id, body) = ("0123456789abcdef0123456789abcdef", "evt_1", br#"{"event":"test"}"#);
    let theirs = standardwebhooks::Webhook::from_bytes(secret.as_bytes().to_vec()).unwrap();
    let ours = Secrets::parse(secret).unwrap();

    let signed = ours.sign(id, now, body);
    let mut headers = http::HeaderMap::new();
    headers.insert("webhook-id", id.parse().unwrap());
    headers.insert("webhook-timestamp", signed.timestamp.parse().unwrap());
    headers.insert("webhook-signature", signed.standard.parse().unwrap());
    theirs.verify(body, &headers).unwrap();
    theirs.verify(b"{}", &headers).unwrap_err();

    let standard = theirs.sign(id, now, body).unwrap();
    let timestamp = now.to_string();
    let presented =
        Presented { jitsi: None, id: Some(id), timestamp: Some(&timestamp), standard: Some(&standard) };
    assert_eq!(ours.verify(presented, body, now, true), Ok(()));
}

/// Receivers of a room's webhooks hand the library the secret's bytes, whatever these are.
#[test]
fn the_public_library_accepts_what_is_signed_with_a_room_s_secret() {
    let now = time::OffsetDateTime::now_utc().unix_timestamp();
    let (secret, id, body) = ("whsec_dGVzdA==, and more", "msg_1", br#"{"event":"meeting.ended"}"#);
    let theirs = standardwebhooks::Webhook::from_bytes(secret.as_bytes().to_vec()).unwrap();
    let signed = Secrets::one(secret).sign(id, now, body);
    let mut headers = http::HeaderMap::new();
    headers.insert("webhook-id", id.parse().unwrap());
    headers.insert("webhook-timestamp", signed.timestamp.parse().unwrap());
    headers.insert("webhook-signature", signed.standard.parse().unwrap());
    theirs.verify(body, &headers).unwrap();
}
