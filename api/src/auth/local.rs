//! Bearer tokens for local use, signed with the secret that this server checks tokens with.

use jsonwebtoken::{EncodingKey, Header};
use serde::Serialize;
use time::OffsetDateTime;

use crate::config::{Auth, KeySource};

/// Whom a token is for, and until when.
#[derive(Debug, Clone, Copy)]
pub struct Grant<'a> {
    /// The claim `sub`.
    pub subject: &'a str,
    /// The claim `email`.
    pub email: Option<&'a str>,
    /// The claim `exp`.
    pub expires_at: OffsetDateTime,
}

/// Why no token can be made.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// Nobody needs a token.
    #[error(
        "AUTH_BACKEND is none, so tokens are not looked at and nobody can make rooms; set AUTH_BACKEND=jwt and AUTH_JWT_SECRET"
    )]
    NotNeeded,
    /// Tokens are checked with a key that somebody else signs with.
    #[error(
        "tokens are checked with a public key, so only its owner can make them; ask that issuer, or set AUTH_JWT_SECRET instead of AUTH_JWT_PUBLIC_KEY or AUTH_JWT_JWKS_URL"
    )]
    NotOurs,
    /// Signing failed.
    #[error("cannot sign the token")]
    Signing(#[source] jsonwebtoken::errors::Error),
}

#[derive(Serialize)]
struct Claims<'a> {
    sub: &'a str,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
}

/// A token that this server accepts as configured, made at `now`.
pub fn sign(auth: &Auth, grant: Grant<'_>, now: OffsetDateTime) -> Result<String, GrantError> {
    let Auth::Jwt(bearer) = auth else { return Err(GrantError::NotNeeded) };
    let KeySource::Shared(secret) = &bearer.key else { return Err(GrantError::NotOurs) };
    let claims = Claims {
        sub: grant.subject,
        iat: now.unix_timestamp(),
        exp: grant.expires_at.unix_timestamp(),
        email: grant.email,
        iss: bearer.issuer.as_deref(),
        aud: bearer.audience.as_deref(),
    };
    crate::token_crypto::install();
    let key = EncodingKey::from_secret(secret.expose().as_bytes());
    jsonwebtoken::encode(&Header::new(bearer.algorithm), &claims, &key).map_err(GrantError::Signing)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::Algorithm;
    use time::macros::datetime;

    use super::*;
    use crate::auth::keys::Verifier;
    use crate::config::{BearerAuth, Secret};

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);

    fn bearer(key: KeySource) -> BearerAuth {
        BearerAuth {
            algorithm: Algorithm::HS256,
            key,
            audience: Some("reflector".into()),
            issuer: Some("https://id.example.com".into()),
            leeway: Duration::ZERO,
        }
    }

    fn grant() -> Grant<'static> {
        Grant { subject: "local", email: Some("me@example.com"), expires_at: NOW + time::Duration::hours(8) }
    }

    #[tokio::test]
    async fn the_server_accepts_its_own_token_until_it_ends() {
        let bearer = bearer(KeySource::Shared(Secret::new("0123456789abcdef0123456789abcdef")));
        let token = sign(&Auth::Jwt(bearer.clone()), grant(), NOW).unwrap();
        let verifier = Verifier::new(&bearer).unwrap();
        let identity = verifier.verify(&token, NOW).await.unwrap();
        assert_eq!((identity.user_id.as_str(), identity.email.as_deref()), ("local", Some("me@example.com")));
        assert!(verifier.verify(&token, grant().expires_at).await.is_err());
    }

    #[test]
    fn without_a_shared_secret_there_is_no_token_but_a_way_to_one() {
        let jwks = Auth::Jwt(bearer(KeySource::Jwks("https://id.example.com/keys".into())));
        assert!(matches!(sign(&jwks, grant(), NOW), Err(GrantError::NotOurs)));
        assert!(matches!(sign(&Auth::None, grant(), NOW), Err(GrantError::NotNeeded)));
    }
}
