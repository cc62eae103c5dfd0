//! How tokens are signed and verified: by ring, which the TLS side uses, too. The libraries that tokens come with by default would be
//! a second cryptography in the same program, or one with a known weakness in RSA.
//!
//! Tokens are signed with a shared secret or with RS256. They are verified with every algorithm that the configuration can name.
//! `docs/adr/0021-tokens-are-signed-and-verified-by-ring.md` has the reasons.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Signer, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::rsa::{KeyPair, PublicKeyComponents};
use ring::signature as ring_signature;
use ring::signature::{RsaParameters, UnparsedPublicKey, VerificationAlgorithm};
use ring::{error::Unspecified, hmac};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: signer,
    verifier_factory: verifier,
    // Keys are read here, and never made into a JWK.
    key_utils: KeyUtils::new_unimplemented(),
};

/// Has tokens signed and verified here. Comes before either; another time it does nothing.
pub fn install() {
    // An error says that it has been done.
    let _ = PROVIDER.install_default();
}

/// What signs with one key.
enum Signing {
    Hmac(hmac::Key),
    Rsa(Box<KeyPair>),
}

struct JwtSigning(Algorithm, Signing);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library calls it like this")]
fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    let signing = match (algorithm, method(*algorithm)) {
        (_, Some(Method::Hmac(digest))) => Signing::Hmac(hmac::Key::new(digest, key.as_bytes())),
        (Algorithm::RS256, _) => {
            let pair = KeyPair::from_der(key.as_bytes());
            Signing::Rsa(Box::new(pair.map_err(|error| ErrorKind::InvalidRsaKey(error.to_string()))?))
        }
        _ => return Err(ErrorKind::InvalidAlgorithm.into()),
    };
    Ok(Box::new(JwtSigning(*algorithm, signing)))
}

impl Signer<Vec<u8>> for JwtSigning {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        match &self.1 {
            Signing::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Signing::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding = &ring_signature::RSA_PKCS1_SHA256;
                let signed = pair.sign(padding, &SystemRandom::new(), message, &mut signature);
                signed.map(|()| signature).map_err(|_| signature::Error::new())
            }
        }
    }
}

impl JwtSigner for JwtSigning {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

/// What an algorithm is to ring.
enum Method {
    Hmac(hmac::Algorithm),
    Rsa(&'static RsaParameters),
    Other(&'static dyn VerificationAlgorithm),
}

/// `None` for an algorithm that a later release of the library knows.
fn method(algorithm: Algorithm) -> Option<Method> {
    Some(match algorithm {
        Algorithm::HS256 => Method::Hmac(hmac::HMAC_SHA256),
        Algorithm::HS384 => Method::Hmac(hmac::HMAC_SHA384),
        Algorithm::HS512 => Method::Hmac(hmac::HMAC_SHA512),
        Algorithm::RS256 => Method::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA256),
        Algorithm::RS384 => Method::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA384),
        Algorithm::RS512 => Method::Rsa(&ring_signature::RSA_PKCS1_2048_8192_SHA512),
        Algorithm::PS256 => Method::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA256),
        Algorithm::PS384 => Method::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA384),
        Algorithm::PS512 => Method::Rsa(&ring_signature::RSA_PSS_2048_8192_SHA512),
        Algorithm::ES256 => Method::Other(&ring_signature::ECDSA_P256_SHA256_FIXED),
        Algorithm::ES384 => Method::Other(&ring_signature::ECDSA_P384_SHA384_FIXED),
        Algorithm::EdDSA => Method::Other(&ring_signature::ED25519),
        _ => return None,
    })
}

struct JwtVerifying(Algorithm, DecodingKey);

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the library calls it like this")]
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if algorithm.family() != key.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(JwtVerifying(*algorithm, key.clone())))
}

impl Verifier<Vec<u8>> for JwtVerifying {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let verified = match (method(self.0), self.1.kind()) {
            (Some(Method::Hmac(digest)), DecodingKeyKind::SecretOrDer(secret)) => {
                hmac::verify(&hmac::Key::new(digest, secret), message, signature)
            }
            (Some(Method::Rsa(parameters)), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                PublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Some(Method::Rsa(parameters)), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(parameters, der).verify(message, signature)
            }
            (Some(Method::Other(algorithm)), DecodingKeyKind::SecretOrDer(der)) => {
                UnparsedPublicKey::new(algorithm, der).verify(message, signature)
            }
            _ => Err(Unspecified),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for JwtVerifying {
    fn algorithm(&self) -> Algorithm {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::crypto::{sign, verify};
    use jsonwebtoken::jwk::Jwk;
    use serde::Deserialize;

    use super::*;

    /// What openssl has signed.
    const MESSAGE: &[u8] = br#"{"typ":"JWT"}.{"sub":"u-1"}"#;
    const SIGNATURES: &str = include_str!("../tests/keys/signatures.json");
    const PRIVATE: &[u8] = include_bytes!("../tests/keys/rsa_private.pem");
    /// The public keys of those signatures, in the forms that files have.
    const RSA_PKCS1: &[u8] = include_bytes!("../tests/keys/rsa_public_pkcs1.pem");
    const P256: &[u8] = include_bytes!("../tests/keys/p256_public.pem");
    const P384: &[u8] = include_bytes!("../tests/keys/p384_public.pem");
    const ED25519: &[u8] = include_bytes!("../tests/keys/ed25519_public.pem");

    #[derive(Deserialize)]
    struct Signed {
        alg: Algorithm,
        key: Jwk,
        signature: String,
    }

    fn signatures() -> Vec<(Algorithm, DecodingKey, String)> {
        install();
        let signed: Vec<Signed> = serde_json::from_str(SIGNATURES).unwrap();
        let read = signed.into_iter();
        read.map(|signed| (signed.alg, DecodingKey::from_jwk(&signed.key).unwrap(), signed.signature))
            .collect()
    }

    #[test]
    fn what_another_program_signed_is_verified_and_nothing_else_is() {
        let signatures = signatures();
        assert_eq!(signatures.len(), 12, "every algorithm");
        for (algorithm, key, signature) in &signatures {
            assert!(verify(signature, MESSAGE, key, *algorithm).unwrap(), "{algorithm:?}");
            assert!(!verify(signature, b"another", key, *algorithm).unwrap(), "{algorithm:?}");
            for (other, _, signature_of_other) in signatures.iter().filter(|(other, ..)| other != algorithm) {
                let verified = verify(signature_of_other, MESSAGE, key, *algorithm);
                assert!(!verified.unwrap(), "{other:?} is no {algorithm:?}");
                if other.family() != algorithm.family() {
                    assert!(
                        verify(signature, MESSAGE, key, *other).is_err(),
                        "a key of {algorithm:?} for {other:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_key_from_a_file_verifies_what_another_program_signed_and_another_curve_does_not() {
        let rsa = [include_bytes!("../tests/keys/rsa_public.pem").as_slice(), RSA_PKCS1];
        for (algorithm, _, signature) in signatures() {
            let keys: Vec<_> = match algorithm {
                Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => continue,
                Algorithm::ES256 => vec![DecodingKey::from_ec_pem(P256).unwrap()],
                Algorithm::ES384 => vec![DecodingKey::from_ec_pem(P384).unwrap()],
                Algorithm::EdDSA => vec![DecodingKey::from_ed_pem(ED25519).unwrap()],
                _ => rsa.iter().map(|pem| DecodingKey::from_rsa_pem(pem).unwrap()).collect(),
            };
            for key in keys {
                assert!(verify(&signature, MESSAGE, &key, algorithm).unwrap(), "{algorithm:?}");
                assert!(!verify(&signature, b"another", &key, algorithm).unwrap(), "{algorithm:?}");
            }
            for (pem, own) in [(P256, Algorithm::ES256), (P384, Algorithm::ES384)] {
                let key = DecodingKey::from_ec_pem(pem).unwrap();
                let verified = verify(&signature, MESSAGE, &key, algorithm);
                assert_eq!(verified.is_ok_and(|is_right| is_right), algorithm == own, "{own:?}");
            }
        }
    }

    #[test]
    fn what_is_signed_here_is_what_another_program_signs() {
        for (algorithm, _, signature) in signatures() {
            let key = match algorithm {
                Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                    EncodingKey::from_secret(b"0123456789abcdef0123456789abcdef")
                }
                Algorithm::RS256 => EncodingKey::from_rsa_pem(PRIVATE).unwrap(),
                _ => continue,
            };
            assert_eq!(sign(MESSAGE, &key, algorithm).unwrap(), signature, "{algorithm:?}");
        }
    }
}
