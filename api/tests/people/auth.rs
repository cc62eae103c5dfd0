//! Bearer tokens at the routes.

use axum::body::Body;
use http::Request;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use serde_json::json;

use crate::app::{Answer, App};
use crate::rooms::guide_room;

async fn get(app: &App, path: &str, authorization: &str) -> Answer {
    app.send(Request::get(path).header(AUTHORIZATION, authorization).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_refused_on_every_route() {
    let app = App::start().await;
    let forged = App::with(&[("AUTH_JWT_SECRET", "another-secret-of-32-characters!")]).await.token("alice");
    for authorization in ["Bearer nonsense".to_owned(), "Bearer".to_owned(), format!("bearer {forged}")] {
        for path in ["/v1/rooms", "/v1/rooms/name/none", "/v1/meetings/none"] {
            let answer = get(&app, path, &authorization).await;
            assert_eq!(answer.headers.get(WWW_AUTHENTICATE).unwrap(), "Bearer");
            assert_eq!(
                answer.refusal(),
                (401, "authentication_invalid", &json!("Invalid authentication")),
                "{path} {authorization}"
            );
        }
    }
}

#[tokio::test]
async fn another_scheme_is_no_token() {
    let app = App::start().await;
    assert_eq!(get(&app, "/v1/rooms/name/none", "Basic YTpi").await.status, 404);
    let answer = get(&app, "/v1/rooms", "Basic YTpi").await;
    assert_eq!(answer.refusal(), (401, "not_authenticated", &json!("Not authenticated")));
}

#[tokio::test]
async fn who_must_say_who_they_are_is_asked_before_the_body_is_read() {
    let app = App::start().await;
    let refused = app.post(None, "/v1/rooms", &json!("no room at all")).await;
    assert_eq!(refused.refusal(), (401, "not_authenticated", &json!("Not authenticated")));
    assert_eq!(app.get(None, "/v1/meetings/none").await.status, 401);
}

#[tokio::test]
async fn without_a_backend_everybody_is_unknown_and_tokens_mean_nothing() {
    let token = App::start().await.token("alice");
    let app = App::with(&[("AUTH_BACKEND", "none"), ("PUBLIC_MODE", "true")]).await;
    for authorization in [format!("Bearer {token}"), "Bearer nonsense".to_owned()] {
        assert_eq!(get(&app, "/v1/rooms", &authorization).await.status, 200);
    }
    assert_eq!(app.post(None, "/v1/rooms", &guide_room("daily")).await.status, 401);
}
