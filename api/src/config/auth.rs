//! How callers prove who they are.

use std::time::Duration;

use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};

use super::http::is_web_address;
use super::reader::Reader;
use super::secret::Secret;

const LEAST_BEARER_SECRET: usize = 32;

/// How callers prove who they are: `AUTH_BACKEND`.
#[derive(Debug, Clone)]
pub enum Auth {
    /// `none`: they do not; everybody is anonymous.
    None,
    /// `jwt`: with a bearer token.
    Jwt(BearerAuth),
}

/// How bearer tokens are checked.
#[derive(Debug, Clone)]
pub struct BearerAuth {
    /// The only algorithm that is accepted: `AUTH_JWT_ALGORITHM`.
    pub algorithm: Algorithm,
    /// Where the key comes from.
    pub key: KeySource,
    /// The `aud` that tokens must carry, if any: `AUTH_JWT_AUDIENCE`.
    pub audience: Option<String>,
    /// The `iss` that tokens must carry, if any: `AUTH_JWT_ISSUER`.
    pub issuer: Option<String>,
    /// By how much the issuer's clock may differ from ours: `AUTH_JWT_LEEWAY_SECONDS`.
    pub leeway: Duration,
}

/// Where the key that verifies bearer tokens comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The public key in the file that `AUTH_JWT_PUBLIC_KEY` names.
    Public(DecodingKey),
    /// A key set behind this address: `AUTH_JWT_JWKS_URL`.
    Jwks(String),
    /// A secret that the issuer shares: `AUTH_JWT_SECRET`.
    Shared(Secret),
}

impl Auth {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        match reader.text_or("AUTH_BACKEND", "none").as_str() {
            "none" => {
                reader.warning(
                    "AUTH_BACKEND",
                    "is none: everybody is anonymous, and anonymous callers can enter rooms but make none; set it to jwt",
                );
                Self::None
            }
            "jwt" => BearerAuth::read(reader).map_or(Self::None, Self::Jwt),
            other => {
                reader.error("AUTH_BACKEND", format!("{other:?} is no backend; there are none and jwt"));
                Self::None
            }
        }
    }
}

impl BearerAuth {
    /// `None` only after an error was noted.
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let source = key_variable(reader);
        let algorithm = algorithm(reader, source);
        let key = match source {
            Some("AUTH_JWT_PUBLIC_KEY") => public_key(reader, algorithm),
            Some("AUTH_JWT_JWKS_URL") => jwks(reader),
            Some(shared) => {
                reader.secret(shared, LEAST_BEARER_SECRET, "openssl rand -hex 32").map(KeySource::Shared)
            }
            None => None,
        };
        let audience = reader.text("AUTH_JWT_AUDIENCE");
        let issuer = reader.text("AUTH_JWT_ISSUER");
        let leeway = Duration::from_secs(reader.within("AUTH_JWT_LEEWAY_SECONDS", 0, 0..=60));
        Some(Self { algorithm, key: key?, audience, issuer, leeway })
    }
}

/// The one variable that says where the key comes from.
fn key_variable(reader: &mut Reader<'_>) -> Option<&'static str> {
    const SOURCES: [&str; 3] = ["AUTH_JWT_PUBLIC_KEY", "AUTH_JWT_JWKS_URL", "AUTH_JWT_SECRET"];
    let given: Vec<_> = SOURCES.into_iter().filter(|variable| reader.text(variable).is_some()).collect();
    match given[..] {
        [] => {
            reader.error(
                "AUTH_BACKEND",
                format!("jwt needs a key to check tokens with; set one of {}", SOURCES.join(", ")),
            );
            None
        }
        [source] => Some(source),
        [first, ..] => {
            reader.error(first, format!("only one of {} can be set", given.join(", ")));
            None
        }
    }
}

fn public_key(reader: &mut Reader<'_>, algorithm: Algorithm) -> Option<KeySource> {
    let pem = reader.file("AUTH_JWT_PUBLIC_KEY")?;
    let key = match algorithm.family() {
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(&pem),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(&pem),
        AlgorithmFamily::Rsa | AlgorithmFamily::Hmac => DecodingKey::from_rsa_pem(&pem),
    };
    if key.is_err() {
        let message = format!(
            "names a file without a public key for {algorithm:?}; it begins with -----BEGIN PUBLIC KEY-----"
        );
        reader.error("AUTH_JWT_PUBLIC_KEY", message);
    }
    key.ok().map(KeySource::Public)
}

fn jwks(reader: &mut Reader<'_>) -> Option<KeySource> {
    let url = reader.text("AUTH_JWT_JWKS_URL")?;
    if is_web_address(&url) {
        return Some(KeySource::Jwks(url));
    }
    reader.error("AUTH_JWT_JWKS_URL", format!("{url:?} must begin with https:// or http://"));
    None
}

/// A public key never verifies HS256, and a shared secret nothing else: mixing the two up is the classic hole.
fn algorithm(reader: &mut Reader<'_>, source: Option<&str>) -> Algorithm {
    let is_shared = source == Some("AUTH_JWT_SECRET");
    let default = if is_shared { Algorithm::HS256 } else { Algorithm::RS256 };
    let algorithm = reader.parsed_or(
        "AUTH_JWT_ALGORITHM",
        default,
        "one of HS256, RS256, RS384, RS512, ES256, ES384, EdDSA",
    );
    let is_symmetric = matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
    if source.is_some() && is_symmetric != is_shared {
        reader.error(
            "AUTH_JWT_ALGORITHM",
            format!("{algorithm:?} does not go with the configured key: AUTH_JWT_SECRET needs HS256, public keys need RS256 or ES256"),
        );
    }
    algorithm
}
