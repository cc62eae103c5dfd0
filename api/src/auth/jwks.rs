//! Keys that are fetched from the issuer's key set, kept by id, and fetched again when an unknown id appears.
//!
//! A flood of tokens with made-up key ids costs the issuer at most one request per [`FLOOR`]. When the issuer does not
//! answer, keys that are known go on working and unknown ones are refused.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

/// The least time between two fetches.
pub const FLOOR: Duration = Duration::from_secs(30);

/// After this time a known key is fetched again, so that one the issuer has withdrawn stops working.
pub const MAX_AGE: Duration = Duration::from_mins(10);

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest key set that is read, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

/// A key set behind an address.
pub struct Jwks {
    url: String,
    algorithm: Algorithm,
    client: reqwest::Client,
    cache: RwLock<Cache>,
    /// Held while fetching, so that many requests make one fetch.
    fetching: Mutex<()>,
}

/// Why there is no key for a token.
#[derive(Debug, thiserror::Error)]
pub enum KeyLookupError {
    /// The key set does not hold the key that the token names.
    #[error("the key set has no key with the token's id")]
    Unknown,
    /// The key set could not be fetched, and what is known of it does not hold the key.
    #[error("the key set cannot be fetched")]
    Unavailable,
}

/// Why a key set could not be fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("it does not arrive")]
    Http(#[from] reqwest::Error),
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("it is no key set")]
    Json(#[from] serde_json::Error),
    #[error("it holds no key for {0:?}")]
    Empty(Algorithm),
}

#[derive(Default)]
struct Cache {
    keys: HashMap<Option<String>, Arc<DecodingKey>>,
    fetched: Option<Instant>,
    tried: Option<Instant>,
    failed: bool,
}

/// What to do for a key id.
enum Lookup {
    /// The key is known and fresh.
    Known(Arc<DecodingKey>),
    /// The set must be fetched; an old key serves if that fails.
    Fetch,
    /// It was fetched just now, or tried: no key, or an old one.
    Settled(Result<Arc<DecodingKey>, KeyLookupError>),
}

impl Cache {
    /// The key with this id. A token without an id means the only key of the set.
    fn find(&self, kid: Option<&str>) -> Option<Arc<DecodingKey>> {
        match kid {
            Some(kid) => self.keys.get(&Some(kid.to_owned())).cloned(),
            None if self.keys.len() == 1 => self.keys.values().next().cloned(),
            None => None,
        }
    }

    fn look_up(&self, kid: Option<&str>, now: Instant) -> Lookup {
        let younger = |than: Duration, since: Option<Instant>| {
            since.is_some_and(|since| now.saturating_duration_since(since) < than)
        };
        match self.find(kid) {
            Some(key) if younger(MAX_AGE, self.fetched) => Lookup::Known(key),
            found if younger(FLOOR, self.tried) => Lookup::Settled(found.ok_or_else(|| self.absence())),
            _ => Lookup::Fetch,
        }
    }

    fn absence(&self) -> KeyLookupError {
        if self.failed { KeyLookupError::Unavailable } else { KeyLookupError::Unknown }
    }
}

impl Jwks {
    /// A key set that is fetched from `url` when it is first needed, for tokens of `algorithm`.
    pub fn new(url: String, algorithm: Algorithm) -> Result<Self, reqwest::Error> {
        // Another part of the process may have chosen already; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .user_agent(concat!("reflector-api/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .https_only(url.starts_with("https://"))
            .build()?;
        Ok(Self { url, algorithm, client, cache: RwLock::default(), fetching: Mutex::default() })
    }

    /// The key that a token names by `kid`, fetched if need be.
    pub async fn get(&self, kid: Option<&str>) -> Result<Arc<DecodingKey>, KeyLookupError> {
        if let Some(settled) = self.known(kid).await {
            return settled;
        }
        let _fetching = self.fetching.lock().await;
        if let Some(settled) = self.known(kid).await {
            return settled;
        }
        self.fetch().await;
        let cache = self.cache.read().await;
        cache.find(kid).ok_or_else(|| cache.absence())
    }

    async fn known(&self, kid: Option<&str>) -> Option<Result<Arc<DecodingKey>, KeyLookupError>> {
        match self.cache.read().await.look_up(kid, Instant::now()) {
            Lookup::Known(key) => Some(Ok(key)),
            Lookup::Settled(result) => Some(result),
            Lookup::Fetch => None,
        }
    }

    async fn fetch(&self) {
        let result = self.fetch_keys().await;
        let now = Instant::now();
        let mut cache = self.cache.write().await;
        cache.tried = Some(now);
        cache.failed = result.is_err();
        match result {
            Ok(keys) => {
                tracing::debug!(keys = keys.len(), "fetched the key set of AUTH_JWT_JWKS_URL");
                cache.keys = keys;
                cache.fetched = Some(now);
            }
            Err(error) => tracing::warn!(
                known = cache.keys.len(),
                "cannot fetch the key set of AUTH_JWT_JWKS_URL ({}), tokens of unknown keys are refused: {:#}",
                self.url,
                anyhow::Error::from(error),
            ),
        }
    }

    async fn fetch_keys(&self) -> Result<HashMap<Option<String>, Arc<DecodingKey>>, FetchError> {
        let mut response = self.client.get(&self.url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > MAX_BYTES {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        let keys = usable_keys(&body, self.algorithm)?;
        if keys.is_empty() { Err(FetchError::Empty(self.algorithm)) } else { Ok(keys) }
    }
}

/// The keys of a set that can verify `algorithm`, by id. Keys of kinds that nobody here knows are left out.
fn usable_keys(
    body: &[u8],
    algorithm: Algorithm,
) -> Result<HashMap<Option<String>, Arc<DecodingKey>>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set = serde_json::from_slice(body)?;
    let keys = set.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
    Ok(keys.filter_map(|jwk| usable_key(&jwk, algorithm)).collect())
}

fn usable_key(jwk: &Jwk, algorithm: Algorithm) -> Option<(Option<String>, Arc<DecodingKey>)> {
    let signs = jwk.common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature);
    let named = jwk.common.key_algorithm.is_none_or(|named| named.to_string() == format!("{algorithm:?}"));
    if !signs || !named {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok().filter(|key| key.family() == algorithm.family())?;
    Some((jwk.common.key_id.clone(), Arc::new(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const MODULUS: &str = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";

    fn rsa(kid: &str, more: &Value) -> Value {
        let mut key = json!({"kty": "RSA", "n": MODULUS, "e": "AQAB", "kid": kid});
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn ids(keys: &[Value]) -> Vec<String> {
        let body = serde_json::to_vec(&json!({"keys": keys})).unwrap();
        let mut ids: Vec<_> = usable_keys(&body, Algorithm::RS256)
            .unwrap()
            .into_keys()
            .map(Option::unwrap_or_default)
            .collect();
        ids.sort();
        ids
    }

    #[test]
    fn only_keys_that_verify_the_algorithm_are_kept() {
        assert_eq!(
            ids(&[
                rsa("plain", &json!({})),
                rsa("signing", &json!({"use": "sig", "alg": "RS256"})),
                rsa("other-algorithm", &json!({"alg": "RS512"})),
                rsa("encrypting", &json!({"use": "enc"})),
                json!({"kty": "oct", "k": "AAAA", "kid": "symmetric"}),
                json!({"kty": "XYZ", "kid": "unheard-of"}),
                json!("nonsense"),
            ]),
            ["plain", "signing"]
        );
    }

    fn cache(kids: &[&str], fetched: Instant, failed: bool) -> Cache {
        let key = Arc::new(DecodingKey::from_secret(b"any"));
        let keys = kids.iter().map(|kid| (Some((*kid).to_owned()), key.clone())).collect();
        Cache { keys, fetched: Some(fetched), tried: Some(fetched), failed }
    }

    fn kind(lookup: &Lookup) -> &'static str {
        match lookup {
            Lookup::Known(_) => "known",
            Lookup::Fetch => "fetch",
            Lookup::Settled(Ok(_)) => "old",
            Lookup::Settled(Err(KeyLookupError::Unknown)) => "unknown",
            Lookup::Settled(Err(KeyLookupError::Unavailable)) => "unavailable",
        }
    }

    #[tokio::test]
    async fn an_unknown_key_is_fetched_but_not_more_often_than_the_floor_allows() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let (one, two) = (cache(&["a"], start, false), cache(&["a", "b"], start, false));
        let down = cache(&["a"], start, true);
        let old_but_tried = Cache { tried: Some(start + MAX_AGE), ..cache(&["a"], start, true) };
        for (what, cache, kid, now, expected) in [
            ("known", &one, Some("a"), start + MAX_AGE.checked_sub(second).unwrap(), "known"),
            ("known for long", &one, Some("a"), start + MAX_AGE, "fetch"),
            ("known for long, issuer down", &old_but_tried, Some("a"), start + MAX_AGE + second, "old"),
            ("unknown, just fetched", &one, Some("x"), start + FLOOR.checked_sub(second).unwrap(), "unknown"),
            ("unknown, just failed", &down, Some("x"), start + second, "unavailable"),
            ("unknown, after the floor", &one, Some("x"), start + FLOOR, "fetch"),
            ("no id, one key", &one, None, start + second, "known"),
            ("no id, two keys", &two, None, start + second, "unknown"),
            ("nothing fetched yet", &Cache::default(), Some("a"), start, "fetch"),
        ] {
            assert_eq!(kind(&cache.look_up(kid, now)), expected, "{what}");
        }
    }
}
