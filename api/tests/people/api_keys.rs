//! `/v1/user/api-keys`, and the keys at the routes.

use api::config::Auth;
use axum::body::Body;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::app::{Answer, App};
use crate::rooms::guide_room;

const KEYS: &str = "/v1/user/api-keys";

/// A new key of `user`'s: what is told of it, and the key.
async fn new_key(app: &App, user: &str) -> (Value, String) {
    let mut told = app.post(Some(user), KEYS, &json!({"name": "export"})).await.ok();
    let key = told.as_object_mut().unwrap().remove("key").unwrap();
    (told, key.as_str().unwrap().to_owned())
}

async fn with_key(app: &App, user: Option<&str>, method: Method, path: &str, key: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header("X-API-Key", key);
    if let Some(user) = user {
        request = request.header(AUTHORIZATION, format!("Bearer {}", app.token(user)));
    }
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_key_speaks_for_its_user_until_it_is_deleted() {
    let app = App::start().await;
    app.post(Some("alice"), "/v1/rooms", &guide_room("daily")).await.ok();
    let (told, key) = new_key(&app, "alice").await;
    let me = with_key(&app, None, Method::GET, "/v1/me", &key).await.ok();
    assert_eq!(me, json!({"sub": "alice", "email": "alice@example.com"}));
    let meeting = with_key(&app, None, Method::POST, "/v1/rooms/daily/meeting", &key).await.ok();
    assert_ne!(meeting["host_room_url"], "", "the owner's key gets what the owner gets");

    let path = format!("{KEYS}/{}", told["id"].as_str().unwrap());
    let foreign = with_key(&app, Some("bob"), Method::DELETE, &path, "").await;
    assert_eq!(foreign.refusal(), (404, "api_key_not_found", &json!("API key not found")));
    let deleted = with_key(&app, None, Method::DELETE, &path, &key).await.ok();
    assert_eq!(deleted, json!({"status": "ok"}));
    let refused = with_key(&app, None, Method::GET, KEYS, &key).await;
    assert_eq!(refused.refusal(), (401, "not_authenticated", &json!("Not authenticated")));
    assert_eq!(app.get(Some("alice"), KEYS).await.ok(), json!([]));
}

#[tokio::test]
async fn a_key_is_told_once_and_stored_nowhere() {
    let app = App::start().await;
    let answer = app.post(Some("alice"), KEYS, &json!({})).await;
    assert_eq!(answer.headers.get(CACHE_CONTROL).unwrap(), "no-store");
    let key = answer.ok()["key"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 64);
    let (named, _) = new_key(&app, "alice").await;
    let list = app.get(Some("alice"), KEYS).await.ok();
    assert_eq!((list.as_array().unwrap().len(), &list[0]), (2, &named), "newest first");
    assert_eq!((&list[1]["user_id"], &list[1]["name"]), (&json!("alice"), &Value::Null));
    assert!(!list.to_string().contains(&key));
    assert_eq!(app.get(Some("bob"), KEYS).await.ok(), json!([]));
    let rows: String = sqlx::query_scalar("SELECT json_agg(k)::text FROM reflector.api_key k")
        .fetch_one(&app.db)
        .await
        .unwrap();
    assert!(rows.contains(named["id"].as_str().unwrap()) && !rows.contains(&key), "{rows}");
}

#[tokio::test]
async fn a_key_that_nobody_has_says_nothing() {
    let app = App::start().await;
    for key in ["", "nonsense", &"k".repeat(64)] {
        assert_eq!(with_key(&app, None, Method::GET, "/v1/me", key).await.ok(), Value::Null, "{key}");
        assert_eq!(with_key(&app, None, Method::GET, KEYS, key).await.status, 401, "{key}");
        let me = with_key(&app, Some("alice"), Method::GET, "/v1/me", key).await.ok();
        assert_eq!(me["sub"], "alice", "{key}");
    }
}

#[tokio::test]
async fn a_key_and_a_token_of_different_users_are_refused() {
    let app = App::start().await;
    let (_, key) = new_key(&app, "alice").await;
    assert_eq!(with_key(&app, Some("alice"), Method::GET, "/v1/me", &key).await.ok()["sub"], "alice");
    let detail = "The API key and the bearer token belong to different users; send only one of them.";
    for path in ["/v1/me", KEYS, "/v1/rooms/name/none"] {
        let refused = with_key(&app, Some("bob"), Method::GET, path, &key).await;
        assert_eq!(refused.refusal(), (401, "authentication_invalid", &json!(detail)), "{path}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_refused_beside_a_key_too() {
    let app = App::start().await;
    let (_, key) = new_key(&app, "alice").await;
    let request = Request::get("/v1/me").header("X-API-Key", key).header(AUTHORIZATION, "Bearer nonsense");
    let refused = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(refused.refusal(), (401, "authentication_invalid", &json!("Invalid authentication")));
}

#[tokio::test]
async fn only_somebody_who_is_known_has_keys_and_a_name_is_text() {
    let app = App::start().await;
    for answer in [app.get(None, KEYS).await, app.post(None, KEYS, &json!({})).await] {
        assert_eq!(answer.refusal(), (401, "not_authenticated", &json!("Not authenticated")));
    }
    let wrong = app.post(Some("alice"), KEYS, &json!({"name": 7})).await;
    assert_eq!((wrong.status, &wrong.json["detail"][0]["loc"]), (422, &json!(["body", "name"])));
    assert_eq!(app.post_nothing(Some("alice"), KEYS).await.status, 422);
}

#[tokio::test]
async fn without_a_backend_keys_mean_nothing() {
    let app = App::start().await;
    let (_, key) = new_key(&app, "alice").await;
    let open = app.replica_with(|config| config.auth = Auth::None);
    assert_eq!(with_key(&app, None, Method::GET, "/v1/me", &key).await.ok()["sub"], "alice");
    assert_eq!(with_key(&open, None, Method::GET, "/v1/me", &key).await.ok(), Value::Null);
}

#[tokio::test]
async fn a_key_makes_no_keys() {
    let app = App::start().await;
    let (_, key) = new_key(&app, "alice").await;
    let request = |token: Option<String>| {
        let request =
            Request::post(KEYS).header("X-API-Key", &key).header("content-type", "application/json");
        let request = token.into_iter().fold(request, |request, token| request.header(AUTHORIZATION, token));
        request.body(Body::from("{}")).unwrap()
    };
    let detail = "An API key cannot do this; send the bearer token of a user who is logged in.";
    assert_eq!(app.send(request(None)).await.refusal(), (403, "forbidden", &json!(detail)));
    app.send(request(Some(format!("Bearer {}", app.token("alice"))))).await.ok();
    assert_eq!(app.get(Some("alice"), KEYS).await.ok().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_user_has_a_hundred_keys_at_most_also_when_they_ask_at_the_same_time() {
    let app = App::start().await;
    let (told, _) = new_key(&app, "alice").await;
    sqlx::query(
        "INSERT INTO reflector.api_key (id, user_id, digest, created_at)
         SELECT 'k-' || n, 'alice', sha256(n::text::bytea), now() FROM generate_series(1, 97) n",
    )
    .execute(&app.db)
    .await
    .unwrap();
    let body = json!({});
    let make = || app.post(Some("alice"), KEYS, &body);
    let answers: [Answer; 6] = tokio::join!(make(), make(), make(), make(), make(), make()).into();
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 2);
    let detail = json!("You have 100 API keys, which is the most; delete one that is not used.");
    assert_eq!(make().await.refusal(), (403, "forbidden", &detail));
    app.post(Some("bob"), KEYS, &body).await.ok();
    let path = format!("{KEYS}/{}", told["id"].as_str().unwrap());
    with_key(&app, Some("alice"), Method::DELETE, &path, "").await.ok();
    make().await.ok();
}
