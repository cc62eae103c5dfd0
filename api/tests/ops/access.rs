//! Who gets to see the pages.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::Request;
use http::header::AUTHORIZATION;

use crate::app::{App, PASSWORD, basic, operator};

const PATHS: [&str; 14] = [
    "/ops",
    "/ops/overview",
    "/ops/agents",
    "/ops/deliveries",
    "/ops/meetings",
    "/ops/meetings/m-1",
    "/ops/recordings",
    "/ops/recordings/r-1",
    "/ops/webhooks",
    "/ops/webhooks/w-1",
    "/ops/assets/ops.css",
    "/ops/assets/ops.js",
    "/ops/assets/icon.svg",
    "/ops/anything/else",
];

fn from(address: &str, password: &str) -> Request<Body> {
    let peer = SocketAddr::new(address.parse::<IpAddr>().unwrap(), 4711);
    Request::get("/ops/overview")
        .header(AUTHORIZATION, basic("ann", password))
        .extension(ConnectInfo(peer))
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn nobody_sees_anything_without_the_password() {
    let app = App::start().await;
    for path in PATHS {
        for authorization in [None, Some(basic("ann", "wrong")), Some(format!("Bearer {PASSWORD}"))] {
            let request = Request::get(path);
            let request = match &authorization {
                Some(value) => request.header(AUTHORIZATION, value),
                None => request,
            };
            let answer = app.send(request.body(Body::empty()).unwrap()).await;
            // Wrong passwords are counted: the first ten say so, the others that there were too many.
            assert!([401, 429].contains(&answer.status), "{path} {authorization:?}: {}", answer.status);
            assert!(!answer.text.contains(PASSWORD));
            if answer.status == 401 {
                assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Basic "));
            }
        }
    }
    let answer = app.send(Request::post("/ops/webhooks/w-1/retry").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 403);
}

#[tokio::test]
async fn any_name_will_do_beside_the_password_and_the_bare_address_leads_to_the_overview() {
    let app = App::start().await;
    let answer = app.send(operator(Request::get("/ops")).body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.headers["location"].to_str().unwrap()), (303, "ops/overview"));
    for name in ["ann", "", "Zoë"] {
        let request = Request::get("/ops/overview").header(AUTHORIZATION, basic(name, PASSWORD));
        assert_eq!(app.send(request.body(Body::empty()).unwrap()).await.status, 200, "{name:?}");
    }
}

#[tokio::test]
async fn without_a_password_the_page_is_off_and_says_how_to_turn_it_on() {
    let app = App::with(&[("OPS_PASSWORD", "")]).await;
    for path in PATHS {
        let answer = app.send(operator(Request::get(path)).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.contains("set OPS_PASSWORD"), "{}", answer.text);
    }
}

#[tokio::test]
async fn guessing_ends_after_ten_wrong_passwords_for_that_address_alone() {
    let app = App::start().await;
    for _ in 0..10 {
        assert_eq!(app.send(from("192.0.2.1", "wrong")).await.status, 401);
    }
    let blocked = app.send(from("192.0.2.1", PASSWORD)).await;
    assert_eq!((blocked.status, blocked.headers["retry-after"].to_str().unwrap()), (429, "300"));
    assert_eq!(app.send(from("192.0.2.2", PASSWORD)).await.status, 200);
}

#[tokio::test]
async fn the_pages_hold_under_a_proxy_s_path() {
    let app = App::with(&[("ROOT_PATH", "/server-api")]).await;
    app.meeting("m-1", "reflector-a").await;
    let page = app.page("/server-api/ops/meetings/m-1").await;
    assert!(page.contains("href=\"../assets/ops.css\"") && page.contains("href=\"../overview\""), "{page}");
    assert!(!page.contains("href=\"/"), "an address begins at the root: {page}");
}

#[tokio::test]
async fn a_frontend_that_may_read_the_api_with_credentials_may_not_read_the_pages() {
    let app =
        App::with(&[("CORS_ORIGIN", "https://front.example"), ("CORS_ALLOW_CREDENTIALS", "true")]).await;
    app.meeting("m-1", "reflector-secret-room").await;
    let request = operator(Request::get("/ops/meetings"))
        .header("origin", "https://front.example")
        .header("host", "api.example")
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "cors");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status, answer.text.contains("secret-room")), (403, false));
}
