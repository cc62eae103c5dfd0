//! Who may do what: every route and every kind of caller.

use std::path::Path;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use contract::signature::{JITSI_SIGNATURE, Secrets};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::app::{App, WEBHOOK_SECRET, from};

const WHEREBY_SECRET: &str = "3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f";
const OPS_PASSWORD: &str = "8f9e0d1c2b3a4f5e6d7c8b9a0f1e2d3c";

/// An upload that nobody has begun. Requests about an upload are signed as that upload's.
const UPLOAD_ID: &str = "upl_0123456789abcdef";

/// Who asks. Everything in a row is done to a room, a meeting, a recording and a key of the owner's, made for that request.
#[derive(Debug, Clone, Copy)]
enum Caller {
    /// Nobody in particular.
    Anonymous,
    /// Somebody whose token does not verify.
    Forger,
    /// Somebody else.
    Stranger,
    /// The one whose they are.
    Owner,
    /// A host with a wrong secret.
    WrongHost,
    /// A host, and a Whereby, with the right secret.
    Host,
    /// Somebody with the password of `/ops`.
    Operator,
}

const CALLERS: [Caller; 7] = [
    Caller::Anonymous,
    Caller::Forger,
    Caller::Stranger,
    Caller::Owner,
    Caller::WrongHost,
    Caller::Host,
    Caller::Operator,
];

/// A route, a body, and the status that each caller gets, in the order of [`CALLERS`].
type Row = (&'static str, &'static str, &'static str, [u16; 7]);

/// Hosts have no token, so that they are anonymous where signatures do not count; where they do, a body without content is 422.
const TABLE: &[Row] = &[
    ("GET", "/health", "", [200, 200, 200, 200, 200, 200, 200]),
    ("POST", "/v1/agents/heartbeat", "{}", [401, 401, 401, 401, 401, 422, 401]),
    ("POST", "/v1/jibri/recording-complete", "{}", [401, 401, 401, 401, 401, 422, 401]),
    ("POST", "/v1/jitsi/events", "{}", [401, 401, 401, 401, 401, 422, 401]),
    ("GET", "/v1/jitsi/health", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/v1/me", "", [200, 401, 200, 200, 200, 200, 200]),
    ("GET", "/v1/meetings/{meeting_id}", "", [401, 401, 403, 200, 401, 401, 401]),
    (
        "POST",
        "/v1/meetings/{meeting_id}/consent",
        "{\"consent_given\":true}",
        [200, 401, 200, 200, 200, 200, 200],
    ),
    ("PATCH", "/v1/meetings/{meeting_id}/deactivate", "", [401, 401, 403, 200, 401, 401, 401]),
    ("GET", "/v1/meetings/{meeting_id}/recordings", "", [401, 401, 403, 200, 401, 401, 401]),
    ("POST", "/v1/recordings/uploads", "{}", [401, 401, 401, 401, 401, 422, 401]),
    ("DELETE", "/v1/recordings/uploads/{upload_id}", "", [401, 401, 401, 401, 401, 503, 401]),
    ("POST", "/v1/recordings/uploads/{upload_id}/complete", "{}", [401, 401, 401, 401, 401, 422, 401]),
    ("POST", "/v1/recordings/uploads/{upload_id}/parts", "{}", [401, 401, 401, 401, 401, 422, 401]),
    ("GET", "/v1/recordings/{recording_id}/download", "", [401, 401, 403, 404, 401, 401, 401]),
    ("GET", "/v1/rooms", "", [401, 401, 200, 200, 401, 401, 401]),
    ("POST", "/v1/rooms", "{}", [401, 401, 422, 422, 401, 401, 401]),
    ("GET", "/v1/rooms/name/{room_name}", "", [200, 401, 200, 200, 200, 200, 200]),
    ("DELETE", "/v1/rooms/{room_id}", "", [401, 401, 403, 200, 401, 401, 401]),
    ("GET", "/v1/rooms/{room_id}", "", [403, 401, 403, 200, 403, 403, 403]),
    ("PATCH", "/v1/rooms/{room_id}", "{\"zulip_topic\":\"a\"}", [401, 401, 403, 200, 401, 401, 401]),
    ("POST", "/v1/rooms/{room_id}/webhook/test", "", [401, 401, 403, 200, 401, 401, 401]),
    ("GET", "/v1/rooms/{room_name}/ics/status", "", [401, 401, 403, 200, 401, 401, 401]),
    ("POST", "/v1/rooms/{room_name}/ics/sync", "", [401, 401, 403, 400, 401, 401, 401]),
    ("POST", "/v1/rooms/{room_name}/meeting", "{}", [200, 401, 200, 200, 200, 200, 200]),
    ("GET", "/v1/rooms/{room_name}/meetings", "", [200, 401, 200, 200, 200, 200, 200]),
    ("GET", "/v1/rooms/{room_name}/meetings/active", "", [200, 401, 200, 200, 200, 200, 200]),
    ("GET", "/v1/rooms/{room_name}/meetings/upcoming", "", [200, 401, 200, 200, 200, 200, 200]),
    ("GET", "/v1/rooms/{room_name}/meetings/{meeting_id}", "", [200, 401, 200, 200, 200, 200, 200]),
    ("POST", "/v1/rooms/{room_name}/meetings/{meeting_id}/join", "", [200, 401, 200, 200, 200, 200, 200]),
    ("GET", "/v1/user/api-keys", "", [401, 401, 200, 200, 401, 401, 401]),
    ("POST", "/v1/user/api-keys", "{\"name\":\"b\"}", [401, 401, 200, 200, 401, 401, 401]),
    ("DELETE", "/v1/user/api-keys/{key_id}", "", [401, 401, 404, 200, 401, 401, 401]),
    ("POST", "/v1/whereby", "{}", [401, 401, 401, 401, 401, 422, 401]),
    ("GET", "/v1/whereby/health", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/metrics", "", [403, 403, 403, 403, 403, 403, 403]),
    ("GET", "/openapi.json", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/docs", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/docs/{file}", "", [200, 200, 200, 200, 200, 200, 200]),
    ("GET", "/ops", "", [401, 401, 401, 401, 401, 401, 303]),
    ("GET", "/ops/overview", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/agents", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/deliveries", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/meetings", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/meetings/{id}", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/recordings", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/recordings/{id}", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/webhooks", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/webhooks/{id}", "", [401, 401, 401, 401, 401, 401, 404]),
    ("POST", "/ops/webhooks/{id}/retry", "", [401, 401, 401, 401, 401, 401, 404]),
    ("GET", "/ops/assets/ops.css", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/assets/ops.js", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/assets/icon.svg", "", [401, 401, 401, 401, 401, 401, 200]),
    ("GET", "/ops/{*rest}", "", [401, 401, 401, 401, 401, 401, 404]),
];

/// What a request is about.
struct Things {
    room_id: String,
    room_name: String,
    meeting_id: String,
    recording_id: String,
    key_id: String,
}

impl Things {
    async fn make(app: &App, number: usize) -> Self {
        let room = json!({"name": format!("room-{number}"), "platform": "jitsi", "room_mode": "normal", "recording_type": "local",
            "recording_trigger": "none", "is_locked": false, "is_shared": false, "zulip_auto_post": false, "zulip_stream": "",
            "zulip_topic": "", "webhook_url": "", "webhook_secret": ""});
        let owner = Some(app.token("alice"));
        let room = made(app, owner.as_deref(), "/v1/rooms", &room).await;
        let room_name = text(&room, "name");
        let meeting =
            made(app, owner.as_deref(), &format!("/v1/rooms/{room_name}/meeting"), &json!({})).await;
        let file = json!({"room_name": text(&meeting, "room_name"), "recording_file": "/var/recordings/a/b.mp4",
            "recording_status": "completed", "timestamp": "2026-01-01T00:00:00Z"});
        let notice = request(&Method::POST, "/v1/jibri/recording-complete", &file.to_string());
        let notice = app.send(signed(notice, WEBHOOK_SECRET, WHEREBY_SECRET)).await;
        assert_eq!(notice.status, 200, "{}", notice.text);
        let meeting_id = text(&meeting, "id");
        let recording_id = sqlx::query_scalar("SELECT id FROM reflector.recording WHERE meeting_id = $1")
            .bind(&meeting_id)
            .fetch_one(&app.db)
            .await
            .unwrap();
        // A user has only so many keys, and the table more rows.
        sqlx::query("DELETE FROM reflector.api_key").execute(&app.db).await.unwrap();
        let key = made(app, owner.as_deref(), "/v1/user/api-keys", &json!({"name": "a"})).await;
        Self { room_id: text(&room, "id"), room_name, meeting_id, recording_id, key_id: text(&key, "id") }
    }

    fn fill(&self, template: &str) -> String {
        template
            .replace("{room_id}", &self.room_id)
            .replace("{room_name}", &self.room_name)
            .replace("{meeting_id}", &self.meeting_id)
            .replace("{recording_id}", &self.recording_id)
            .replace("{key_id}", &self.key_id)
            .replace("{upload_id}", UPLOAD_ID)
            .replace("/ops/meetings/{id}", &format!("/ops/meetings/{}", self.meeting_id))
            .replace("/ops/recordings/{id}", &format!("/ops/recordings/{}", self.recording_id))
            .replace("{id}", "no-such-webhook")
            .replace("{file}", "initializer.js")
            .replace("{*rest}", "no-such-page")
    }
}

fn text(value: &Value, member: &str) -> String {
    value[member].as_str().unwrap_or_else(|| panic!("no {member} in {value}")).to_owned()
}

async fn made(app: &App, token: Option<&str>, path: &str, body: &Value) -> Value {
    let answer = app.send(with_token(request(&Method::POST, path, &body.to_string()), token)).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
    answer.json()
}

/// A request and its body, which a signature needs.
fn request(method: &Method, path: &str, body: &str) -> (http::request::Builder, String) {
    // A browser says so of requests that a page of the same service makes.
    let mut request = Request::builder().method(method).uri(path).header("sec-fetch-site", "same-origin");
    if !body.is_empty() {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    (request, body.to_owned())
}

fn with_token((request, body): (http::request::Builder, String), token: Option<&str>) -> Request<Body> {
    let request = match token {
        Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    };
    request.body(Body::from(body)).unwrap()
}

/// Signed as a Jitsi host signs, and as Whereby does.
fn signed((request, body): (http::request::Builder, String), jitsi: &str, whereby: &str) -> Request<Body> {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    let dated = Secrets::parse(jitsi).unwrap().sign(UPLOAD_ID, now, body.as_bytes());
    let to_whereby = format!("{now}.{body}");
    let v1 = Secrets::parse(whereby).unwrap().sign("", 0, to_whereby.as_bytes()).jitsi;
    request
        .header(JITSI_SIGNATURE, dated.jitsi)
        .header("webhook-id", UPLOAD_ID)
        .header("webhook-timestamp", dated.timestamp)
        .header("webhook-signature", dated.standard)
        .header("whereby-signature", format!("t={now},v1={v1}"))
        .body(Body::from(body))
        .unwrap()
}

fn by(caller: Caller, app: &App, request: (http::request::Builder, String)) -> Request<Body> {
    match caller {
        Caller::Anonymous => with_token(request, None),
        Caller::Forger => with_token(request, Some("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")),
        Caller::Stranger => with_token(request, Some(&app.token("mallory"))),
        Caller::Owner => with_token(request, Some(&app.token("alice"))),
        Caller::WrongHost => signed(request, "a secret that is wrong", "a secret that is wrong"),
        Caller::Host => signed(request, WEBHOOK_SECRET, WHEREBY_SECRET),
        Caller::Operator => {
            let login = format!("Basic {}", STANDARD.encode(format!("ann:{OPS_PASSWORD}")));
            let (head, body) = request;
            head.header(AUTHORIZATION, login).body(Body::from(body)).unwrap()
        }
    }
}

async fn app() -> App {
    App::with(&[
        ("WHEREBY_WEBHOOK_SECRET", WHEREBY_SECRET),
        ("OPS_PASSWORD", OPS_PASSWORD),
        ("REFLECTOR_API_SIGNATURE_FAILURES_PER_MINUTE", "1000"),
    ])
    .await
}

#[tokio::test]
async fn every_caller_gets_what_is_theirs_and_nothing_else() {
    let app = app().await;
    let mut differences = Vec::new();
    let mut number = 0;
    for (method, path, body, expected) in TABLE {
        let mut found = [0; 7];
        for (place, caller) in CALLERS.into_iter().enumerate() {
            number += 1;
            let things = Things::make(&app, number).await;
            let request = request(&method.parse().unwrap(), &things.fill(path), &things.fill(body));
            // An address of its own for each, so that no budget is used up.
            let address = format!("2001:db8:0:{number:x}::1");
            found[place] = app.send(from(&address, by(caller, &app, request))).await.status;
        }
        if found != *expected {
            differences.push(format!("{method} {path}: {found:?} instead of {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "{CALLERS:?}\n{}", differences.join("\n"));
}

#[tokio::test]
async fn no_route_is_missing_in_the_table() {
    let document = app().await.get("/openapi.json").await.json();
    let mut missing = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_ascii_uppercase();
            if !TABLE.iter().any(|row| (row.0, row.1) == (method.as_str(), path.as_str())) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http");
    for path in undocumented(&source) {
        if !TABLE.iter().any(|row| row.1 == path) {
            missing.push(path);
        }
    }
    assert!(missing.is_empty(), "say who may call these:\n{}", missing.join("\n"));
}

/// The paths of routes that are not made from their documentation, as they stand in the source.
fn undocumented(directory: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            paths.extend(undocumented(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let routes = text.split(".route(\"").skip(1);
            paths.extend(routes.filter_map(|rest| rest.split('"').next()).map(ToOwned::to_owned));
        }
    }
    paths
}
