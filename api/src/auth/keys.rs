//! Checks bearer tokens: one pinned algorithm, and a key that is configured or fetched.

use jsonwebtoken::errors::Error as TokenError;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use time::OffsetDateTime;

use super::identity::{ClaimError, Claims, Rules};
use super::jwks::{Jwks, KeyLookupError};
use crate::config::{BearerAuth, KeySource};
use crate::domain::identity::Identity;

/// Checks bearer tokens as configured.
pub struct Verifier {
    algorithm: Algorithm,
    keys: Keys,
    rules: Rules,
}

enum Keys {
    One(DecodingKey),
    Set(Box<Jwks>),
}

/// Why a token is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The token is malformed, has another algorithm, or its signature does not verify.
    #[error("the token does not verify")]
    Token(#[from] TokenError),
    /// The signature verifies, the claims are refused.
    #[error("the token is refused")]
    Claims(#[from] ClaimError),
    /// The token asks, in `crit`, for extensions to be understood. None are, and such a token must be refused.
    #[error("the token needs an extension that is not known here")]
    Critical,
    /// There is no key for the token.
    #[error(transparent)]
    Key(#[from] KeyLookupError),
}

impl Verifier {
    /// A verifier as configured.
    ///
    /// Fails when no HTTP client can be made to fetch keys with, for want of the system's certificates.
    pub fn new(config: &BearerAuth) -> Result<Self, reqwest::Error> {
        crate::token_crypto::install();
        let algorithm = config.algorithm;
        let keys = match &config.key {
            KeySource::Public(key) => Keys::One(key.clone()),
            KeySource::Shared(secret) => Keys::One(DecodingKey::from_secret(secret.expose().as_bytes())),
            KeySource::Jwks(url) => Keys::Set(Box::new(Jwks::new(url.clone(), algorithm)?)),
        };
        let rules = Rules {
            audience: config.audience.clone(),
            issuer: config.issuer.clone(),
            leeway: config.leeway.as_secs_f64(),
        };
        Ok(Self { algorithm, keys, rules })
    }

    /// The person that `token` speaks for, at `now`.
    pub async fn verify(&self, token: &str, now: OffsetDateTime) -> Result<Identity, VerifyError> {
        let header = jsonwebtoken::decode_header(token)?;
        if header.crit.is_some() {
            return Err(VerifyError::Critical);
        }
        let claims = match &self.keys {
            Keys::One(key) => self.signed_claims(token, key)?,
            Keys::Set(keys) => self.signed_claims(token, &*keys.get(header.kid.as_deref()).await?)?,
        };
        let now = std::time::Duration::try_from(now - OffsetDateTime::UNIX_EPOCH).unwrap_or_default();
        Ok(claims.identify(&self.rules, now.as_secs_f64())?)
    }

    /// The claims, once the signature verifies. What they must say is [`Claims::identify`]'s to decide.
    fn signed_claims(&self, token: &str, key: &DecodingKey) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(self.algorithm);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        Ok(jsonwebtoken::decode::<Claims>(token, key, &validation)?.claims)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::{Value, json};
    use time::macros::datetime;

    use super::*;
    use crate::config::Secret;

    const NOW: OffsetDateTime = datetime!(2026-01-01 00:00 UTC);
    const SECRET: &str = "0123456789abcdef0123456789abcdef";
    const PRIVATE: &[u8] = include_bytes!("../../tests/keys/rsa_private.pem");
    const PUBLIC: &[u8] = include_bytes!("../../tests/keys/rsa_public.pem");

    fn public_key() -> KeySource {
        KeySource::Public(DecodingKey::from_rsa_pem(PUBLIC).unwrap())
    }

    fn verifier(algorithm: Algorithm, key: KeySource) -> Verifier {
        Verifier::new(&BearerAuth { algorithm, key, audience: None, issuer: None, leeway: Duration::ZERO })
            .unwrap()
    }

    fn token(algorithm: Algorithm, key: &EncodingKey, claims: &Value) -> String {
        jsonwebtoken::encode(&Header::new(algorithm), claims, key).unwrap()
    }

    fn claims() -> Value {
        json!({"sub": "u-1", "exp": NOW.unix_timestamp() + 1})
    }

    #[tokio::test]
    async fn a_token_of_the_pinned_algorithm_and_the_right_key_is_accepted() {
        let shared = verifier(Algorithm::HS256, KeySource::Shared(Secret::new(SECRET)));
        let secret = EncodingKey::from_secret(SECRET.as_bytes());
        let accepted = shared.verify(&token(Algorithm::HS256, &secret, &claims()), NOW).await;
        assert_eq!(accepted.unwrap().user_id, "u-1");

        let public = verifier(Algorithm::RS256, public_key());
        let private = EncodingKey::from_rsa_pem(PRIVATE).unwrap();
        let accepted = public.verify(&token(Algorithm::RS256, &private, &claims()), NOW).await;
        assert_eq!(accepted.unwrap().user_id, "u-1");
    }

    #[tokio::test]
    async fn a_token_of_another_algorithm_or_key_is_refused() {
        let shared = verifier(Algorithm::HS256, KeySource::Shared(Secret::new(SECRET)));
        let public = verifier(Algorithm::RS256, public_key());
        let secret = EncodingKey::from_secret(SECRET.as_bytes());
        let confused = EncodingKey::from_secret(PUBLIC);
        let other = EncodingKey::from_secret(b"another secret of enough characters");
        let good = token(Algorithm::HS256, &secret, &claims());
        let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{}.", good.split('.').nth(1).unwrap());
        for (what, verifier, token) in [
            ("HS384 with the right secret", &shared, token(Algorithm::HS384, &secret, &claims())),
            ("another secret", &shared, token(Algorithm::HS256, &other, &claims())),
            ("the public key as a secret", &public, token(Algorithm::HS256, &confused, &claims())),
            ("no signature", &shared, unsigned),
            ("a cut token", &shared, good[..good.len() - 2].to_owned()),
            ("no token", &shared, String::new()),
        ] {
            assert!(matches!(verifier.verify(&token, NOW).await, Err(VerifyError::Token(_))), "{what}");
        }
    }

    #[tokio::test]
    async fn a_token_that_needs_an_extension_is_refused() {
        let shared = verifier(Algorithm::HS256, KeySource::Shared(Secret::new(SECRET)));
        let header = Header { crit: Some(vec!["exp".to_owned()]), ..Header::new(Algorithm::HS256) };
        let token =
            jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes())).unwrap();
        assert!(matches!(shared.verify(&token, NOW).await, Err(VerifyError::Critical)));
    }

    #[tokio::test]
    async fn a_good_signature_does_not_save_bad_claims() {
        let shared = verifier(Algorithm::HS256, KeySource::Shared(Secret::new(SECRET)));
        let secret = EncodingKey::from_secret(SECRET.as_bytes());
        let expired = token(Algorithm::HS256, &secret, &json!({"sub": "u", "exp": NOW.unix_timestamp()}));
        let refused = shared.verify(&expired, NOW).await;
        assert!(matches!(refused, Err(VerifyError::Claims(ClaimError::Expired))), "{refused:?}");
    }
}
