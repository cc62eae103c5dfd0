//! What every route has in common: errors, request ids, redirects, cross-origin rules.

use axum::body::Body;
use http::{HeaderMap, Method, Request};

use crate::app::{Answer, App};

async fn ask(app: &App, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    app.send(request.body(Body::empty()).unwrap()).await
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test]
async fn what_no_route_takes_is_answered_like_the_existing_api_does() {
    let app = App::start().await;
    let unknown = ask(&app, Method::GET, "/v1/nothing", &[]).await;
    assert_eq!((unknown.refusal(), &unknown.body["detail"]), ((404, "not_found"), &"Not Found".into()));
    let wrong = ask(&app, Method::PUT, "/v1/jitsi/events", &[]).await;
    assert_eq!(
        (wrong.refusal(), &wrong.body["detail"]),
        ((405, "method_not_allowed"), &"Method Not Allowed".into())
    );
    assert_eq!(header(&wrong.headers, "allow"), "POST");
    let slash = ask(&app, Method::POST, "/v1/jitsi/events/?a=b", &[]).await;
    assert_eq!((slash.status, header(&slash.headers, "location")), (307, "/v1/jitsi/events?a=b"));
}

#[tokio::test]
async fn health_has_the_guides_members() {
    let app = App::start().await;
    let health = app.get("/v1/jitsi/health").await.ok();
    let members: Vec<_> = health.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members.len(), 4, "{members:?}");
    assert_eq!((&health["status"], &health["service"]), (&"ok".into(), &"jitsi-webhooks".into()));
    assert_eq!(health["webhook_secret_configured"], true);
    let timestamp = health["timestamp"].as_str().unwrap();
    assert!(timestamp.len() == 24 && timestamp.ends_with('Z'), "{timestamp}");
    assert_eq!(app.get("/health").await.ok()["status"], "healthy");
}

#[tokio::test]
async fn a_request_id_is_taken_over_or_made_and_repeated_in_the_body() {
    let app = App::start().await;
    let given = ask(&app, Method::GET, "/nothing", &[("x-request-id", "req-1.a")]).await;
    assert_eq!(
        (header(&given.headers, "x-request-id"), given.body["request_id"].as_str()),
        ("req-1.a", Some("req-1.a"))
    );
    let made = ask(&app, Method::GET, "/nothing", &[("x-request-id", "with blanks <script>")]).await;
    let id = header(&made.headers, "x-request-id");
    assert_eq!((id.len(), made.body["request_id"].as_str()), (16, Some(id)));
    let ok = ask(&app, Method::GET, "/v1/jitsi/health", &[]).await;
    assert_eq!(header(&ok.headers, "x-request-id").len(), 16);
}

#[tokio::test]
async fn every_origin_may_read_answers_and_errors_by_default() {
    let app = App::start().await;
    let error = ask(&app, Method::GET, "/nothing", &[("origin", "https://a.example")]).await;
    assert_eq!(header(&error.headers, "access-control-allow-origin"), "*");
    let preflight = ask(
        &app,
        Method::OPTIONS,
        "/v1/rooms",
        &[
            ("origin", "https://a.example"),
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type"),
        ],
    )
    .await;
    assert_eq!((preflight.status, preflight.body), (200, "OK".into()));
    assert_eq!(header(&preflight.headers, "access-control-allow-origin"), "*");
    assert_eq!(header(&preflight.headers, "access-control-allow-headers"), "authorization,content-type");
    assert_eq!(header(&preflight.headers, "access-control-max-age"), "600");
    let methods = header(&preflight.headers, "access-control-allow-methods");
    assert_eq!(methods, "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT");
    let plain = ask(&app, Method::GET, "/nothing", &[]).await;
    assert_eq!(header(&plain.headers, "access-control-allow-origin"), "");
}

#[tokio::test]
async fn only_listed_origins_are_let_in_when_there_is_a_list() {
    let app = App::with(&[
        ("CORS_ORIGIN", "https://a.example, https://b.example"),
        ("CORS_ALLOW_CREDENTIALS", "true"),
    ])
    .await;
    let preflight = [("access-control-request-method", "GET")];
    for (origin, status, allowed) in
        [("https://b.example", 200, "https://b.example"), ("https://c.example", 400, "")]
    {
        let headers = [("origin", origin), preflight[0]];
        let answer = ask(&app, Method::OPTIONS, "/v1/rooms", &headers).await;
        assert_eq!(
            (answer.status, header(&answer.headers, "access-control-allow-origin")),
            (status, allowed)
        );
        assert_eq!(header(&answer.headers, "vary"), "Origin");
        let simple = ask(&app, Method::GET, "/nothing", &headers[..1]).await;
        assert_eq!(header(&simple.headers, "access-control-allow-origin"), allowed);
        assert_eq!(header(&simple.headers, "vary"), "Origin");
    }
}

#[tokio::test]
async fn a_prefix_that_a_proxy_leaves_on_is_understood() {
    let app = App::with(&[("ROOT_PATH", "/server-api/")]).await;
    for path in ["/server-api/v1/jitsi/health", "/v1/jitsi/health", "/server-api/health"] {
        app.get(path).await.ok();
    }
    assert_eq!(app.get("/server-api/nothing").await.refusal(), (404, "not_found"));
}
