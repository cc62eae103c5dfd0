//! Bearer tokens that somebody made up: each is refused at a route, with the contract's body.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use ring::rand::SystemRandom;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::app::{App, BEARER_SECRET};

const PRIVATE: &[u8] = include_bytes!("../keys/rsa_private.pem");
const PUBLIC: &[u8] = include_bytes!("../keys/rsa_public.pem");
const PUBLIC_JWK: &str = include_str!("../keys/rsa_public.jwk.json");
const PUBLIC_FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/rsa_public.pem");

fn now() -> i64 {
    OffsetDateTime::now_utc().unix_timestamp()
}

/// Claims that are good, changed.
fn claims(change: &Value) -> Value {
    let mut claims =
        json!({"sub": "alice", "exp": now() + 60, "aud": "reflector", "iss": "https://id.example.com"});
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

fn signed(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

/// Signed with the right key in another way than the service's own.
fn signed_by_rsa(header: &Value, padding: &'static dyn RsaEncoding) -> String {
    let message = format!("{}.{}", part(header), part(&claims(&json!({}))));
    let pair = KeyPair::from_der(EncodingKey::from_rsa_pem(PRIVATE).unwrap().as_bytes()).unwrap();
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(padding, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn part(json: &Value) -> String {
    URL_SAFE_NO_PAD.encode(json.to_string())
}

fn shared(claims: &Value) -> String {
    signed(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(BEARER_SECRET.as_bytes()))
}

async fn shared_app() -> App {
    App::with(&[("AUTH_JWT_AUDIENCE", "reflector"), ("AUTH_JWT_ISSUER", "https://id.example.com")]).await
}

async fn assert_refused(app: &App, tokens: &[(&str, String)]) {
    for (what, token) in tokens {
        for path in ["/v1/rooms", "/v1/me", "/v1/rooms/name/none"] {
            let request = Request::get(path).header(AUTHORIZATION, format!("Bearer {token}"));
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            let expected = (401, "authentication_invalid".to_owned(), "Invalid authentication".to_owned());
            assert_eq!(answer.refusal(), expected, "{what} {path}");
            assert_eq!(answer.headers.get(WWW_AUTHENTICATE).unwrap(), "Bearer", "{what} {path}");
        }
    }
}

async fn assert_accepted(app: &App, token: &str) {
    let request = Request::get("/v1/me").header(AUTHORIZATION, format!("Bearer {token}"));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.json()["sub"].as_str()), (200, Some("alice")), "{}", answer.text);
}

#[tokio::test]
async fn claims_that_do_not_hold_are_refused() {
    let app = shared_app().await;
    assert_accepted(&app, &shared(&claims(&json!({})))).await;
    let cases = [
        ("no end", json!({"exp": null})),
        ("an end that is a text", json!({"exp": "4000000000"})),
        ("expired", json!({"exp": now() - 120})),
        ("not yet valid", json!({"nbf": now() + 3600})),
        ("another audience", json!({"aud": "somebody-else"})),
        ("no audience", json!({"aud": null})),
        ("other audiences", json!({"aud": ["a", "b"]})),
        ("another issuer", json!({"iss": "https://evil.example.com"})),
        ("nobody", json!({"sub": null})),
        ("nobody by name", json!({"sub": ""})),
        ("a number as subject", json!({"sub": 7})),
    ];
    let tokens: Vec<_> = cases.into_iter().map(|(what, change)| (what, shared(&claims(&change)))).collect();
    assert_refused(&app, &tokens).await;
}

#[tokio::test]
async fn tokens_without_a_signature_or_with_another_are_refused() {
    let app = shared_app().await;
    let good = shared(&claims(&json!({})));
    let mut parts = good.split('.');
    let (header, body, signature) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let none = |alg: &str| part(&json!({"alg": alg, "typ": "JWT"}));
    let changed = part(&claims(&json!({"sub": "mallory"})));
    let other = EncodingKey::from_secret(b"another secret, as long as it has to be");
    let longer = EncodingKey::from_secret(BEARER_SECRET.as_bytes());
    assert_refused(
        &app,
        &[
            ("alg none", format!("{}.{body}.", none("none"))),
            ("alg None", format!("{}.{body}.", none("None"))),
            ("alg NONE with a signature", format!("{}.{body}.{signature}", none("NONE"))),
            ("no algorithm", format!("{}.{body}.{signature}", part(&json!({"typ": "JWT"})))),
            ("an empty signature", format!("{header}.{body}.")),
            ("no signature", format!("{header}.{body}")),
            ("other claims", format!("{header}.{changed}.{signature}")),
            ("another secret", signed(&Header::new(Algorithm::HS256), &claims(&json!({})), &other)),
            (
                "HS512 with the right secret",
                signed(&Header::new(Algorithm::HS512), &claims(&json!({})), &longer),
            ),
            ("two tokens", format!("{good} {good}")),
            ("five parts", format!("{good}.{body}.{signature}")),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_public_key_is_no_secret_and_a_key_in_the_token_is_not_believed() {
    let app = App::with(&[
        ("AUTH_JWT_SECRET", ""),
        ("AUTH_JWT_PUBLIC_KEY", PUBLIC_FILE),
        ("AUTH_JWT_AUDIENCE", "reflector"),
    ])
    .await;
    let private = EncodingKey::from_rsa_pem(PRIVATE).unwrap();
    let good = signed(&Header::new(Algorithm::RS256), &claims(&json!({})), &private);
    assert_accepted(&app, &good).await;
    let trimmed = std::str::from_utf8(PUBLIC).unwrap().trim_end().as_bytes();
    let with_secret = |secret: &[u8], header: &Header| {
        signed(header, &claims(&json!({})), &EncodingKey::from_secret(secret))
    };
    let hs256 = Header::new(Algorithm::HS256);
    let own_key = json!({"kty": "oct", "k": URL_SAFE_NO_PAD.encode("mine"), "alg": "HS256"});
    let with_own_key =
        format!("{}.{}", part(&json!({"alg": "HS256", "jwk": own_key})), part(&claims(&json!({}))));
    let named = |kid: &str| Header { kid: Some(kid.to_owned()), ..hs256.clone() };
    let elsewhere = Header { jku: Some("http://127.0.0.1:1/keys".to_owned()), ..hs256.clone() };
    assert_refused(
        &app,
        &[
            ("the public key as a secret", with_secret(PUBLIC, &hs256)),
            ("the same without its line break", with_secret(trimmed, &hs256)),
            ("an empty secret", with_secret(b"", &hs256)),
            ("a key id that is a path", with_secret(b"", &named("../../dev/null"))),
            ("a key id that is SQL", with_secret(b"x", &named("' UNION SELECT 'x"))),
            ("a key set that the token names", with_secret(b"x", &elsewhere)),
            ("a key in the token", format!("{with_own_key}.{}", URL_SAFE_NO_PAD.encode("signature"))),
            ("RS512 with the right key", signed_by_rsa(&json!({"alg": "RS512"}), &RSA_PKCS1_SHA512)),
            ("PS256 with the right key", signed_by_rsa(&json!({"alg": "PS256"}), &RSA_PSS_SHA256)),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_key_set_lends_its_keys_to_the_configured_algorithm_alone() {
    let private = EncodingKey::from_rsa_pem(PRIVATE).unwrap();
    let mut rsa: Value = serde_json::from_str(PUBLIC_JWK).unwrap();
    rsa["kid"] = json!("rsa");
    let oct = json!({"kty": "oct", "kid": "oct", "k": URL_SAFE_NO_PAD.encode(BEARER_SECRET)});
    let set = json!({"keys": [rsa, oct]});
    let keys = axum::routing::get(async move || axum::Json(set));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let router: axum::Router = axum::Router::new().route("/keys", keys);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let app = App::with(&[
        ("AUTH_JWT_SECRET", ""),
        ("AUTH_JWT_JWKS_URL", &url),
        ("AUTH_JWT_AUDIENCE", "reflector"),
    ])
    .await;
    let named = |algorithm, kid: &str| Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    let (claims, secret) = (claims(&json!({})), EncodingKey::from_secret(BEARER_SECRET.as_bytes()));
    assert_accepted(&app, &signed(&named(Algorithm::RS256, "rsa"), &claims, &private)).await;
    let confused = EncodingKey::from_secret(PUBLIC);
    assert_refused(
        &app,
        &[
            ("the set's secret", signed(&named(Algorithm::HS256, "oct"), &claims, &secret)),
            ("the public key as a secret", signed(&named(Algorithm::HS256, "rsa"), &claims, &confused)),
            ("the right key by another's name", signed(&named(Algorithm::RS256, "oct"), &claims, &private)),
            ("an unknown key", signed(&named(Algorithm::RS256, "../rsa"), &claims, &private)),
            (
                "another algorithm of the key",
                signed_by_rsa(&json!({"alg": "RS512", "kid": "rsa"}), &RSA_PKCS1_SHA512),
            ),
        ],
    )
    .await;
}
