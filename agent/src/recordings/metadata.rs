//! Jibri's `metadata.json`, read tolerantly.
//!
//! Any client that may record can put keys into it: they may be nested, large, or repeat Jibri's own. With the Dropbox
//! integration it holds live OAuth tokens. So only what is named here is taken, and what looks like a credential is
//! replaced before anything leaves this module.

use serde::Deserialize;
use serde_json::Value;

/// The longest `metadata.json` that is read, in bytes.
pub const MAX_BYTES: u64 = 1 << 20;

/// The most participants that are passed on.
const MAX_PARTICIPANTS: usize = 500;

/// What is taken from `metadata.json`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata {
    /// The meeting's address, without query, fragment and user information.
    pub meeting_url: Option<String>,
    /// Prosody's `meetingId`, where a module put it there.
    pub meeting_session_id: Option<String>,
    /// The participants that the recorder saw, without anything that looks like a credential.
    pub participants: Vec<Value>,
}

/// Reads the file's bytes; `None` when they are not a JSON object (yet).
pub fn parse(bytes: &[u8]) -> Option<Metadata> {
    // Jackson writes a repeated key twice; a map takes the last, which a client chose. Jibri's own come first.
    let members: FirstWins = serde_json::from_slice(bytes).ok()?;
    let mut participants = match members.get("participants") {
        Some(Value::Array(items)) => items.iter().take(MAX_PARTICIPANTS).cloned().collect(),
        _ => Vec::new(),
    };
    participants.iter_mut().for_each(redact);
    Some(Metadata {
        meeting_url: members.get("meeting_url").and_then(Value::as_str).map(without_credentials),
        meeting_session_id: members
            .get("conference_details")
            .and_then(|details| details.get("session_id"))
            .and_then(Value::as_str)
            .map(str::to_owned),
        participants,
    })
}

/// A JSON object in which the first of several equal keys counts.
struct FirstWins(Vec<(String, Value)>);

impl FirstWins {
    fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

impl<'de> Deserialize<'de> for FirstWins {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = FirstWins;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<FirstWins, A::Error> {
                let mut members = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    members.push(entry);
                }
                Ok(FirstWins(members))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

/// A meeting's address may carry a token in its query or fragment, and a password before its host.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let (scheme, rest) = url.split_at(authority);
    let host_ends = rest.find('/').unwrap_or(rest.len());
    let host = rest[..host_ends].rfind('@').map_or(0, |at| at + 1);
    format!("{scheme}{}", &rest[host..])
}

/// Replaces, at any depth, the values of keys that name a credential.
fn redact(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                if names_a_credential(key) {
                    *value = Value::String("[redacted]".into());
                } else {
                    redact(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        _ => {}
    }
}

fn names_a_credential(key: &str) -> bool {
    let key = key.to_lowercase();
    [
        "token",
        "jwt",
        "secret",
        "credential",
        "authorization",
        "password",
        "passwd",
        "passphrase",
        "app_key",
        "apikey",
        "api_key",
    ]
    .iter()
    .any(|word| key.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jibris_file_is_read() {
        let text = br#"{"meeting_url":"https://meet.example.com/standup","participants":[{"user":{"id":"u-17","name":"Alice"},"group":"g-1"}],"share":true,"initiator":{"id":"u-17","group":"g-1"},"conference_details":{"session_id":"4a0f2c1e"}}"#;
        let metadata = parse(text).unwrap();
        assert_eq!(metadata.meeting_url.as_deref(), Some("https://meet.example.com/standup"));
        assert_eq!(metadata.meeting_session_id.as_deref(), Some("4a0f2c1e"));
        assert_eq!(metadata.participants.len(), 1);
    }

    #[test]
    fn credentials_never_leave() {
        let text = br#"{"meeting_url":"https://u:SECRET@m/x@y?jwt=SECRET#SECRET","upload_credentials":{"token":"SECRET"},"participants":[{"user":{"name":"A","accessToken":"SECRET","nested":[{"r_token":"SECRET"},{"jwt":"SECRET","Authorization":"SECRET","passwd":"SECRET"}]}}]}"#;
        let metadata = parse(text).unwrap();
        assert!(!format!("{metadata:?}").contains("SECRET"), "{metadata:?}");
        assert_eq!(metadata.participants[0]["user"]["name"], "A");
        for (url, expected) in [
            ("https://m/x@y", "https://m/x@y"),
            ("https://a@b@m:8443/x", "https://m:8443/x"),
            ("u:p@m", "m"),
            ("https://m", "https://m"),
            ("", ""),
        ] {
            assert_eq!(without_credentials(url), expected, "{url}");
        }
    }

    #[test]
    fn a_clients_repetition_of_jibris_keys_does_not_count() {
        let text = br#"{"meeting_url":"https://m/real","participants":[],"meeting_url":"https://m/forged","participants":[{}]}"#;
        let metadata = parse(text).unwrap();
        assert_eq!(metadata.meeting_url.as_deref(), Some("https://m/real"));
        assert!(metadata.participants.is_empty());
    }

    #[test]
    fn what_is_not_an_object_is_not_complete() {
        for text in [&b""[..], b"{\"meeting_url\":\"https", b"[]", b"null", b"{\"a\":\xff}"] {
            assert_eq!(parse(text), None, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn wrong_types_are_passed_over() {
        assert_eq!(
            parse(br#"{"meeting_url":7,"participants":{},"conference_details":[]}"#),
            Some(Metadata::default())
        );
    }
}
