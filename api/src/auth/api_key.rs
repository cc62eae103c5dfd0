//! API keys: what a user's programs send instead of a bearer token, as the header `X-API-Key`.
//!
//! A key is random enough that its digest gives nothing away, so one SHA-256 is what is stored and looked up.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::HeaderMap;
use sha2::{Digest as _, Sha256};

use crate::domain::identity::Identity;

/// The header that carries a key.
pub const HEADER: &str = "x-api-key";

const KEY_BYTES: usize = 48;
/// A key as text: four characters for three bytes.
const KEY_CHARACTERS: usize = KEY_BYTES / 3 * 4;

/// SHA-256 of a key.
pub type Digest = [u8; 32];

/// A new key. It is shown once and not kept.
pub struct ApiKey(String);

impl ApiKey {
    /// A key of 48 random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What is stored of it.
    pub fn digest(&self) -> Digest {
        digest(self.0.as_bytes())
    }

    /// The key itself, for the one answer that shows it.
    pub fn into_text(self) -> String {
        self.0
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// The digest of the key that a request carries; `None` without one, and for what cannot be a key.
pub fn sent(headers: &HeaderMap) -> Option<Digest> {
    let key = headers.get(HEADER)?.as_bytes();
    (key.len() == KEY_CHARACTERS).then(|| digest(key))
}

fn digest(key: &[u8]) -> Digest {
    Sha256::digest(key).into()
}

/// A request speaks for two users at once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the API key and the bearer token belong to different users")]
pub struct TwoUsers;

/// Who sent a request, by its bearer token and by its key. The token knows the user's name and e-mail address better: it is newer.
pub fn one_user(token: Option<Identity>, key: Option<Identity>) -> Result<Option<Identity>, TwoUsers> {
    match (token, key) {
        (Some(token), Some(key)) if token.user_id != key.user_id => Err(TwoUsers),
        (token, key) => Ok(token.or(key)),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn identity(user_id: &str, name: &str) -> Identity {
        Identity { user_id: user_id.into(), name: Some(name.into()), email: None }
    }

    #[test]
    fn a_key_is_found_again_by_what_is_stored_of_it_and_is_never_printed() {
        let (key, other) = (ApiKey::random().unwrap(), ApiKey::random().unwrap());
        assert_eq!(format!("{key:?}"), "ApiKey(hidden)");
        assert_ne!(key.digest(), other.digest());
        let stored = key.digest();
        let text = key.into_text();
        assert_eq!(text.len(), KEY_CHARACTERS);
        let headers = HeaderMap::from_iter([(HEADER.parse().unwrap(), text.parse().unwrap())]);
        assert_eq!(sent(&headers), Some(stored));
    }

    #[test]
    fn what_cannot_be_a_key_is_none() {
        assert_eq!(sent(&HeaderMap::new()), None);
        for value in ["", "abc", &"a".repeat(KEY_CHARACTERS + 1)] {
            let headers =
                HeaderMap::from_iter([(HEADER.parse().unwrap(), HeaderValue::from_str(value).unwrap())]);
            assert_eq!(sent(&headers), None, "{value}");
        }
    }

    #[test]
    fn a_token_and_a_key_must_be_of_one_user() {
        let (token, key) = (identity("u-1", "of the token"), identity("u-1", "of the key"));
        let other = identity("u-2", "other");
        for (token, key, expected) in [
            (None, None, Ok(None)),
            (Some(token.clone()), None, Ok(Some(token.clone()))),
            (None, Some(key.clone()), Ok(Some(key.clone()))),
            (Some(token.clone()), Some(key), Ok(Some(token.clone()))),
            (Some(token), Some(other), Err(TwoUsers)),
        ] {
            assert_eq!(one_user(token, key), expected);
        }
    }
}
