//! Bearer tokens of people: found in a request's headers, checked as configured.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use time::OffsetDateTime;

use super::jwks::KeyLookupError;
use super::keys::{Verifier, VerifyError};
use crate::config::Auth;
use crate::domain::identity::Identity;

/// Tells who a request is from.
pub struct Authenticator {
    /// `None` when nobody is asked: `AUTH_BACKEND=none`.
    verifier: Option<Verifier>,
}

/// Why a request's token does not count.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It is not valid.
    #[error(transparent)]
    Invalid(VerifyError),
    /// It cannot be checked now, because its issuer's keys cannot be fetched.
    #[error("the keys that tokens are checked with cannot be fetched")]
    Unchecked,
}

impl Authenticator {
    /// An authenticator as configured; fails as [`Verifier::new`] does.
    pub fn new(config: &Auth) -> Result<Self, reqwest::Error> {
        let verifier = match config {
            Auth::None => None,
            Auth::Jwt(bearer) => Some(Verifier::new(bearer)?),
        };
        Ok(Self { verifier })
    }

    /// Who sent these headers; `None` for somebody who does not say.
    pub async fn identify(
        &self,
        headers: &HeaderMap,
        now: OffsetDateTime,
    ) -> Result<Option<Identity>, Refusal> {
        let (Some(verifier), Some(token)) = (&self.verifier, bearer_token(headers)) else { return Ok(None) };
        match verifier.verify(token, now).await {
            Ok(identity) => Ok(Some(identity)),
            Err(VerifyError::Key(KeyLookupError::Unavailable)) => Err(Refusal::Unchecked),
            Err(error) => Err(Refusal::Invalid(error)),
        }
    }
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator").field("checks", &self.verifier.is_some()).finish()
    }
}

/// The token of an `Authorization: Bearer …` header. Another scheme is no token; `Bearer` without anything, or with
/// something that is no text, is an empty one, which no key verifies.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.as_bytes();
    let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
    let (scheme, token) = value.split_at(end);
    scheme.eq_ignore_ascii_case(b"bearer").then(|| std::str::from_utf8(token).unwrap_or_default().trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_the_bearer_scheme_carries_a_token() {
        for (header, expected) in [
            (&b"Bearer abc"[..], Some("abc")),
            (b"bearer  abc", Some("abc")),
            (b"BEARER abc ", Some("abc")),
            (b"Bearer", Some("")),
            (b"Bearer \xff", Some("")),
            (b"Basic abc", None),
            (b"Bearerabc", None),
            (b"", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_bytes(header).unwrap())]);
            assert_eq!(bearer_token(&headers), expected, "{header:?}");
        }
        assert_eq!(bearer_token(&HeaderMap::new()), None);
    }
}
