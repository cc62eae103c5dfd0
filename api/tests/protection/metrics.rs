//! What Prometheus reads.

use axum::body::Body;
use http::Request;

use crate::app::{App, WEBHOOK_SECRET, delivery, from};

fn metrics() -> Request<Body> {
    Request::get("/metrics").body(Body::empty()).unwrap()
}

#[tokio::test]
async fn requests_are_counted_by_template_and_no_path_becomes_a_label() {
    let app = App::start().await;
    assert_eq!(app.get("/v1/rooms/name/a-room-that-nobody-made").await.status, 404);
    assert_eq!(app.get("/a-path-that-nobody-serves").await.status, 404);
    assert_eq!(app.send(delivery(WEBHOOK_SECRET, None)).await.status, 200);
    assert_eq!(app.send(delivery("a secret that is wrong", None)).await.status, 401);
    let answer = app.send(from("127.0.0.1", metrics())).await;
    assert_eq!(answer.status, 200);
    for expected in [
        r#"reflector_api_request_seconds_count{method="GET",route="/v1/rooms/name/{room_name}",status="404"}"#,
        r#"reflector_api_request_seconds_count{method="GET",route="unmatched",status="404"}"#,
        r#"reflector_api_request_seconds_bucket{method="POST",route="/v1/jitsi/events",status="200",le="0.005"}"#,
        r#"reflector_api_events_total{outcome="acknowledged"}"#,
        r#"reflector_api_events_total{outcome="meeting_unknown"} 0"#,
        r#"reflector_api_signatures_refused_total{platform="jitsi"}"#,
        r#"reflector_api_rate_limited_total{budget="deliveries"}"#,
        "# TYPE reflector_api_request_seconds histogram",
        "# HELP reflector_api_database_connections ",
        "process_resident_memory_bytes ",
    ] {
        assert!(answer.text.contains(expected), "{expected} is not in\n{}", answer.text);
    }
    assert!(!answer.text.contains("that-nobody"), "{}", answer.text);
}

#[tokio::test]
async fn metrics_are_for_this_host_unless_the_operator_says_otherwise() {
    let app = App::with(&[("REFLECTOR_API_METRICS_TOKEN", "0123456789abcdef")]).await;
    assert_eq!(app.send(from("127.0.0.1", metrics())).await.status, 200);
    assert_eq!(app.send(from("192.0.2.1", metrics())).await.refusal().1, "forbidden");
    let mut forwarded = from("127.0.0.1", metrics());
    forwarded.headers_mut().insert("x-forwarded-for", "192.0.2.1".parse().unwrap());
    assert_eq!(app.send(forwarded).await.status, 403, "through a proxy on this host");
    let mut with_token = from("192.0.2.1", metrics());
    with_token.headers_mut().insert("authorization", "Bearer 0123456789abcdef".parse().unwrap());
    assert_eq!(app.send(with_token).await.status, 200);
}
