//! Spans, and a collector that takes them.

use api::http::request_id;
use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use http::Request;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::app::App;

/// A collector; returns its address and what it receives.
async fn collector() -> (String, mpsc::UnboundedReceiver<Bytes>) {
    let (sender, received) = mpsc::unbounded_channel();
    let take = post(async move |body: Bytes| sender.send(body).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router: Router = Router::new().route("/v1/traces", take);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_a_span_for_each_request_as_a_part_of_the_callers() {
    let (url, mut received) = collector().await;
    let app = App::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
    let request = Request::get("/v1/rooms/name/private-room?token=hunter2")
        .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        .header(request_id::HEADER, "req-1")
        .body(Body::empty())
        .unwrap();
    assert_eq!(app.send(request).await.status, 404);
    app.traces.clone().stop().await;
    // A span is sent before the end, or with it.
    let batch = received.recv().await.unwrap();
    let (trace, parent) = (0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128, 0xb7ad_6b71_6920_3331_u64);
    for (what, part) in [
        ("the service", &b"reflector-api"[..]),
        ("its name", b"GET /v1/rooms/name/{room_name}"),
        ("the request's id", b"req-1"),
        ("the caller's trace", &trace.to_be_bytes()),
        ("the caller's span", &parent.to_be_bytes()),
    ] {
        assert!(holds(&batch, part), "{what} is not in {}", String::from_utf8_lossy(&batch));
    }
    for private in ["private-room", "hunter2"] {
        assert!(!holds(&batch, private.as_bytes()), "{private}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_collector_the_service_answers_all_the_same() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let app = App::with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &url)]).await;
    assert_eq!(app.get("/v1/jitsi/health").await.status, 200);
    app.traces.clone().stop().await;
    assert_eq!(app.get("/v1/jitsi/health").await.status, 200);
}
