//! Keys that are fetched from an issuer, which is a small HTTP server here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::net::TcpListener;

use crate::app::App;

const PUBLIC_JWK: &str = include_str!("../keys/rsa_public.jwk.json");
const PRIVATE: &[u8] = include_bytes!("../keys/rsa_private.pem");

/// A token of `user` that names the key `kid`.
fn token(kid: &str, user: &str) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::RS256) };
    let claims = json!({"sub": user, "exp": OffsetDateTime::now_utc().unix_timestamp() + 60});
    jsonwebtoken::encode(&header, &claims, &EncodingKey::from_rsa_pem(PRIVATE).unwrap()).unwrap()
}

fn key_set(kid: &str) -> Value {
    let mut jwk: Value = serde_json::from_str(PUBLIC_JWK).unwrap();
    jwk["kid"] = json!(kid);
    json!({"keys": [jwk]})
}

/// An issuer with one key; returns its address and how often it was asked.
async fn issuer(kid: &'static str) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = asked.clone();
    let keys = get(async move || {
        counter.fetch_add(1, Ordering::SeqCst);
        axum::Json(key_set(kid))
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let router: Router = Router::new().route("/keys", keys);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

async fn app(url: &str) -> App {
    App::with(&[("AUTH_JWT_SECRET", ""), ("AUTH_JWT_JWKS_URL", url)]).await
}

async fn status(app: &App, token: &str) -> u16 {
    let request = Request::get("/v1/rooms").header(AUTHORIZATION, format!("Bearer {token}"));
    app.send(request.body(Body::empty()).unwrap()).await.status
}

#[tokio::test]
async fn a_fetched_key_verifies_tokens_and_is_fetched_once() {
    let (url, asked) = issuer("key-1").await;
    let app = app(&url).await;
    let good = token("key-1", "alice");
    let (one, two, three) = tokio::join!(status(&app, &good), status(&app, &good), status(&app, &good));
    assert_eq!([one, two, three], [200; 3]);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn made_up_key_ids_do_not_become_requests_to_the_issuer() {
    let (url, asked) = issuer("key-1").await;
    let app = app(&url).await;
    for kid in ["a", "b", "c"] {
        assert_eq!(status(&app, &token(kid, "alice")).await, 401);
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(status(&app, &token("key-1", "alice")).await, 200);
}

#[tokio::test]
async fn without_an_issuer_nobody_is_let_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    drop(listener);
    let app = app(&url).await;
    let request =
        Request::get("/v1/rooms").header(AUTHORIZATION, format!("Bearer {}", token("key-1", "alice")));
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, &answer.json["code"]), (503, &json!("unavailable")));
    assert_eq!(answer.headers.get(RETRY_AFTER).unwrap(), "1");
}
