//! The enrolment token: all that an agent needs to know to deliver, as one line of text that a person carries from
//! `reflector-api agents enroll` to `reflector-agent setup`.
//!
//! The line is `reflector-enrol-1.` and the base64url, without padding, of a JSON object with `url`, `agent_id` and
//! `secret`. Members may be added; another number in the prefix means that older agents must not guess. It holds a secret,
//! so it is treated as one.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

/// What every token begins with, whatever its version.
const FAMILY: &str = "reflector-enrol-";

/// What a token of this version begins with.
const PREFIX: &str = "reflector-enrol-1.";

/// Longer texts are no token, whatever they are. Ours have a few hundred bytes.
const MAX_BYTES: usize = 8192;

/// What an enrolled agent needs to know. Its secret is never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// The API's address, as the agent reaches it.
    pub url: String,
    /// The name that the agent was enrolled under.
    pub agent_id: String,
    /// The secret that signs its deliveries.
    pub secret: String,
}

/// Why a text is not a token. No message repeats what was read: it may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// There is no text.
    #[error("the enrolment token is empty")]
    Empty,
    /// It begins otherwise, or is far too long.
    #[error(
        "this is no enrolment token: one begins with `{PREFIX}`; `reflector-api agents enroll NAME --token` prints it"
    )]
    Other,
    /// It is of another version.
    #[error("this enrolment token is of a version that this program does not know: upgrade reflector-agent")]
    Version,
    /// What follows the prefix cannot be read.
    #[error("the enrolment token is cut off or altered: copy the whole line once more")]
    Damaged,
    /// A member is missing, empty, or holds a control character.
    #[error("the enrolment token has no usable `{0}`: enroll the agent once more")]
    Member(&'static str),
}

impl EnrolmentToken {
    /// The token as one line, without a line break.
    pub fn encode(&self) -> String {
        let [url, agent_id, secret] = [&self.url, &self.agent_id, &self.secret].map(|text| json!(text));
        let json = format!(r#"{{"url":{url},"agent_id":{agent_id},"secret":{secret}}}"#);
        format!("{PREFIX}{}", BASE64.encode(json))
    }

    /// Reads a token. Blanks and line breaks, which terminals and mail put in, do not count.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        if text.len() > MAX_BYTES {
            return Err(TokenError::Other);
        }
        let text: String = text.split_ascii_whitespace().collect();
        if text.is_empty() {
            return Err(TokenError::Empty);
        }
        let Some(payload) = text.strip_prefix(PREFIX) else {
            return Err(if is_of_another_version(&text) { TokenError::Version } else { TokenError::Other });
        };
        let json = BASE64.decode(payload).map_err(|_| TokenError::Damaged)?;
        let token: Value = serde_json::from_slice(&json).map_err(|_| TokenError::Damaged)?;
        let member = |name: &'static str| {
            let text = token.get(name).and_then(Value::as_str);
            let usable = |text: &&str| !text.trim().is_empty() && !text.contains(char::is_control);
            text.filter(usable).map(str::to_owned).ok_or(TokenError::Member(name))
        };
        Ok(Self { url: member("url")?, agent_id: member("agent_id")?, secret: member("secret")? })
    }
}

/// Whether `text` begins as our tokens do, with another number.
fn is_of_another_version(text: &str) -> bool {
    let number = text.strip_prefix(FAMILY).and_then(|rest| rest.split_once('.'));
    number.is_some_and(|(number, _)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl std::fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, agent_id, secret: _ } = self;
        write!(f, "EnrolmentToken({agent_id} at {url}, secret hidden)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made with `printf '%s' '{"url":…}' | basenc --base64url -w0 | tr -d =`.
    const GOLDEN: &str = "reflector-enrol-1.eyJ1cmwiOiJodHRwczovL3JlZmxlY3Rvci5leGFtcGxlLmNvbSIsImFnZW50X2lkIjoiaml0c2ktMSIsInNlY3JldCI6IjAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5YWJjZGVmIn0";

    fn token() -> EnrolmentToken {
        EnrolmentToken {
            url: "https://reflector.example.com".into(),
            agent_id: "jitsi-1".into(),
            secret: "0123456789abcdef0123456789abcdef".into(),
        }
    }

    fn of_json(json: &str) -> String {
        format!("{PREFIX}{}", BASE64.encode(json))
    }

    #[test]
    fn the_golden_token_is_written_and_read() {
        assert_eq!(token().encode(), GOLDEN);
        assert_eq!(EnrolmentToken::parse(GOLDEN), Ok(token()));
    }

    #[test]
    fn what_copying_adds_does_not_matter_and_neither_do_members_of_later_releases() {
        let (head, tail) = GOLDEN.split_at(60);
        for text in [format!("  {GOLDEN}\r\n"), format!("{head}\n{tail}\n"), format!("{head}  {tail}")] {
            assert_eq!(EnrolmentToken::parse(&text), Ok(token()), "{text:?}");
        }
        let later = r#"{"url":"https://reflector.example.com","agent_id":"jitsi-1","secret":"0123456789abcdef0123456789abcdef","colour":1}"#;
        assert_eq!(EnrolmentToken::parse(&of_json(later)), Ok(token()));
    }

    #[test]
    fn what_is_no_token_is_refused_for_a_named_reason() {
        let damaged = Err(TokenError::Damaged);
        for (text, expected) in [
            (String::new(), Err(TokenError::Empty)),
            (" \n".into(), Err(TokenError::Empty)),
            ("0123456789abcdef0123456789abcdef".into(), Err(TokenError::Other)),
            ("reflector-enrol-".into(), Err(TokenError::Other)),
            ("reflector-enrol-x.e30".into(), Err(TokenError::Other)),
            ("x".repeat(MAX_BYTES + 1), Err(TokenError::Other)),
            (GOLDEN.replace("-1.", "-2."), Err(TokenError::Version)),
            (GOLDEN[..GOLDEN.len() - 9].into(), damaged.clone()),
            (GOLDEN.replace("eyJ", "e+/"), damaged.clone()),
            (format!("{GOLDEN}{GOLDEN}"), damaged.clone()),
            (PREFIX.into(), damaged),
            (of_json("[]"), Err(TokenError::Member("url"))),
            (of_json(r#"{"url":"u","agent_id":7,"secret":"s"}"#), Err(TokenError::Member("agent_id"))),
            (of_json(r#"{"url":"u","agent_id":"a","secret":" "}"#), Err(TokenError::Member("secret"))),
            (of_json(r#"{"url":"u","agent_id":"a","secret":"s\nt"}"#), Err(TokenError::Member("secret"))),
        ] {
            assert_eq!(EnrolmentToken::parse(&text), expected, "{text:?}");
        }
    }

    #[test]
    fn neither_debug_nor_an_error_shows_the_secret() {
        assert_eq!(
            format!("{:?}", token()),
            "EnrolmentToken(jitsi-1 at https://reflector.example.com, secret hidden)"
        );
        let error = EnrolmentToken::parse(&of_json(r#"{"url":"hunter2"}"#)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    }

    proptest! {
        #[test]
        fn every_token_survives_the_way(url in "[^\\p{C}\\s]{1,60}", agent_id in "[^\\p{C}\\s]{1,60}", secret in "[^\\p{C}\\s]{1,99}") {
            let token = EnrolmentToken { url, agent_id, secret };
            let line = token.encode();
            prop_assert!(line.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(EnrolmentToken::parse(&line), Ok(token));
        }

        #[test]
        fn no_text_breaks_the_reader(text in "\\PC{0,80}", payload in "[A-Za-z0-9_-]{0,80}") {
            let _ = EnrolmentToken::parse(&text);
            let parsed = EnrolmentToken::parse(&format!("{PREFIX}{payload}"));
            prop_assert!(parsed.is_err());
        }
    }
}
