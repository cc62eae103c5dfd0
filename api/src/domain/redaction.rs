//! What must not be kept of what recorders write: they have been seen to put the caller's token into their metadata.

use serde_json::Value;

/// What stands in the place of a value that must not be kept.
const REDACTED: &str = "[redacted]";

/// Words that a name of a credential holds, in lower case and without `_` and `-`.
const CREDENTIALS: [&str; 10] = [
    "token",
    "secret",
    "credential",
    "password",
    "passwd",
    "jwt",
    "authorization",
    "apikey",
    "cookie",
    "signature",
];

/// Replaces the value of every member, at any depth, whose name speaks of a credential, and such parameters of addresses in any
/// text. True when there was anything to replace.
pub fn redact(value: &mut Value) -> bool {
    match value {
        Value::Object(members) => members.iter_mut().fold(false, |found, (name, value)| {
            let changed = if names_a_credential(name) {
                *value = Value::from(REDACTED);
                true
            } else {
                redact(value)
            };
            found | changed
        }),
        Value::Array(items) => items.iter_mut().fold(false, |found, item| found | redact(item)),
        Value::String(text) => match without_credentials(text) {
            Some(redacted) => {
                *text = redacted;
                true
            }
            None => false,
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn names_a_credential(name: &str) -> bool {
    let folded = name.to_ascii_lowercase().replace(['_', '-'], "");
    CREDENTIALS.iter().any(|word| folded.contains(word))
}

/// The text with the credentials in its addresses replaced; `None` when there are none. A parameter begins after `?`, `&`, `;` or
/// `#`: a fragment carries parameters of Jitsi Meet.
fn without_credentials(text: &str) -> Option<String> {
    if !text.contains("://") {
        return None;
    }
    let mut redacted = String::with_capacity(text.len());
    let mut is_parameter = false;
    let mut found = false;
    for piece in text.split_inclusive(ends_a_parameter) {
        let body = piece.trim_end_matches(ends_a_parameter);
        match body.split_once('=') {
            Some((name, _)) if is_parameter && names_a_credential(name) => {
                redacted.extend([name, "=", REDACTED, &piece[body.len()..]]);
                found = true;
            }
            _ => redacted.push_str(piece),
        }
        is_parameter = piece.ends_with(['?', '&', ';', '#']);
    }
    found.then_some(redacted)
}

fn ends_a_parameter(c: char) -> bool {
    matches!(c, '?' | '&' | ';' | '#') || c.is_whitespace()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_are_redacted_at_any_depth() {
        let mut notice = json!({
            "room_name": "r",
            "participants": [{"user": {"name": "Ann", "accessToken": "eyJ", "nested": {"PASSWORD": [1, 2]}}}],
            "call_credentials": {"a": "b"},
        });
        assert!(redact(&mut notice));
        let expected = json!({
            "room_name": "r",
            "participants": [{"user": {"name": "Ann", "accessToken": REDACTED, "nested": {"PASSWORD": REDACTED}}}],
            "call_credentials": REDACTED,
        });
        assert_eq!(notice, expected);
        assert!(!redact(&mut json!({"room_name": "r", "list": [1, "token"]})));
    }

    #[test]
    fn a_name_speaks_of_a_credential_in_any_spelling() {
        for (name, expected) in [
            ("authorization", true),
            ("Authorization", true),
            ("api_key", true),
            ("X-Api-Key", true),
            ("apiKey", true),
            ("db_passwd", true),
            ("pass-word", true),
            ("Set-Cookie", true),
            ("webhook_signature", true),
            ("key", false),
            ("object_key", false),
            ("sha256", false),
            ("recording_file", false),
        ] {
            assert_eq!(names_a_credential(name), expected, "{name}");
        }
    }

    #[test]
    fn an_address_loses_its_credentials_and_nothing_else() {
        for (text, expected) in [
            ("https://meet.example.com/r?jwt=eyJ.a.b", Some("https://meet.example.com/r?jwt=[redacted]")),
            ("https://h/r?a=1&access_token=x&b=2", Some("https://h/r?a=1&access_token=[redacted]&b=2")),
            ("https://h/r?jwt=x#config.token=y", Some("https://h/r?jwt=[redacted]#config.token=[redacted]")),
            ("https://s3/k?X-Amz-Signature=x", Some("https://s3/k?X-Amz-Signature=[redacted]")),
            ("see https://h/?jwt=x and go", Some("see https://h/?jwt=[redacted] and go")),
            ("https://h/r?name=token", None),
            ("https://h/token=x", None),
            ("a=1&token=x", None),
            ("https://h/r?jwt", None),
        ] {
            let mut value = json!({"url": text});
            assert_eq!(redact(&mut value), expected.is_some(), "{text}");
            assert_eq!(value["url"], expected.unwrap_or(text), "{text}");
        }
    }
}
