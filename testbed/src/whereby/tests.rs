//! The stand-in over real sockets: what a client of Whereby meets.

use std::net::TcpListener;

use serde_json::{Value, json};

use super::*;
use crate::sink::{Faults as SinkFaults, Refusal, Sink};

/// Status, `Retry-After` and body of an answer; `None` when the connection was cut.
type Reply = Option<(u16, Option<String>, Value)>;

fn call(whereby: &Whereby, method: &str, path: &str, body: Option<&Value>) -> Reply {
    let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{}{path}", whereby.url()))
        .header("Authorization", format!("Bearer {}", whereby.api_key()))
        .header("Content-Type", "application/json")
        .body(body.map(Value::to_string).unwrap_or_default())
        .unwrap();
    let mut answer = agent.run(request).ok()?;
    let wait = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    let text = answer.body_mut().read_to_string().unwrap();
    Some((answer.status().as_u16(), wait, serde_json::from_str(&text).unwrap_or_default()))
}

fn wish() -> Value {
    json!({ "endDate": "2100-01-01T00:00:00Z", "roomNamePrefix": "standup-", "fields": ["hostRoomUrl"] })
}

#[test]
fn a_room_is_made_described_listed_and_deleted() {
    let whereby = Whereby::start().unwrap();
    let (status, _, made) = call(&whereby, "POST", "/meetings", Some(&wish())).unwrap();
    assert_eq!(status, 201);
    let (id, name) = (made["meetingId"].as_str().unwrap(), made["roomName"].as_str().unwrap());
    assert!(name.starts_with("/standup-") && name.len() == 9 + 36, "{name}");
    assert!(made["hostRoomUrl"].as_str().unwrap().starts_with(made["roomUrl"].as_str().unwrap()));
    let (_, _, found) = call(&whereby, "GET", &format!("/meetings/{id}"), None).unwrap();
    assert_eq!((found["roomName"].as_str(), &found["hostRoomUrl"]), (Some(name), &Value::Null));
    call(&whereby, "POST", "/meetings", Some(&wish())).unwrap();
    let (_, _, page) = call(&whereby, "GET", "/meetings?limit=1&fields=hostRoomUrl", None).unwrap();
    assert_eq!((page["results"][0]["hostRoomUrl"].is_string(), &page["cursor"]), (true, &json!("1")));
    for _ in 0..2 {
        assert_eq!(call(&whereby, "DELETE", &format!("/meetings/{id}"), None).unwrap().0, 204);
    }
    assert_eq!(call(&whereby, "GET", &format!("/meetings/{id}"), None).unwrap().0, 404);
    assert_eq!(whereby.rooms().len(), 1);
}

#[test]
fn a_logo_goes_to_a_room_that_exists_and_only_as_an_image() {
    let whereby = Whereby::start().unwrap();
    call(&whereby, "POST", "/meetings", Some(&wish())).unwrap();
    let name = whereby.rooms()[0].name.clone();
    let put = |path: &str, content_type: &str| {
        let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());
        let request = agent
            .put(format!("{}{path}", whereby.url()))
            .header("Authorization", format!("Bearer {}", whereby.api_key()))
            .header("Content-Type", content_type);
        request
            .send("--b\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\npng\r\n--b--")
            .unwrap()
            .status()
    };
    assert_eq!(put(&format!("/rooms{name}/theme/logo"), "image/png"), 400);
    assert_eq!(put(&format!("/rooms/{name}/theme/logo"), "multipart/form-data; boundary=b"), 404);
    assert!(!whereby.rooms()[0].has_logo);
    assert_eq!(put(&format!("/rooms{name}/theme/logo"), "multipart/form-data; boundary=b"), 204);
    assert!(whereby.rooms()[0].has_logo);
}

#[test]
fn who_has_no_key_or_spends_too_much_is_refused() {
    let whereby = Whereby::start_with(3).unwrap();
    let agent = ureq::Agent::from(ureq::Agent::config_builder().http_status_as_error(false).build());
    assert_eq!(agent.get(format!("{}/meetings", whereby.url())).call().unwrap().status(), 401);
    assert_eq!(call(&whereby, "POST", "/meetings", Some(&wish())).unwrap().0, 201);
    let (status, wait, body) = call(&whereby, "POST", "/meetings", Some(&wish())).unwrap();
    assert!(status == 429 && wait.is_some_and(|wait| (1..=60).contains(&wait.parse::<u32>().unwrap())));
    assert!(body["data"]["msLeft"].as_u64().is_some_and(|left| left <= 60_000));
    whereby.recover();
    assert_eq!(call(&whereby, "POST", "/meetings", Some(&wish())).unwrap().0, 201);
}

#[test]
fn each_fault_is_met_by_one_call_and_only_some_leave_a_room() {
    let whereby = Whereby::start_with(1_000).unwrap();
    for (fault, status, rooms) in [
        (Fault::Status(500), Some(500), 0),
        (Fault::TooMany(7), Some(429), 0),
        (Fault::Reset, None, 0),
        (Fault::LostAnswer, None, 1),
        (Fault::Slow(std::time::Duration::from_millis(1)), Some(201), 1),
    ] {
        let before = whereby.rooms().len();
        whereby.fail("POST /v1/meetings", fault);
        let reply = call(&whereby, "POST", "/meetings", Some(&wish()));
        assert_eq!(reply.as_ref().map(|reply| reply.0), status, "{fault:?}");
        assert_eq!(whereby.rooms().len() - before, rooms, "{fault:?}");
        assert_eq!(whereby.calls().last().unwrap().status, status, "{fault:?}");
    }
    assert_eq!(call(&whereby, "POST", "/meetings", Some(&wish())).unwrap().0, 201);
}

#[test]
fn sessions_and_their_participants_are_told() {
    let whereby = Whereby::start().unwrap();
    call(&whereby, "POST", "/meetings", Some(&wish())).unwrap();
    let name = whereby.rooms()[0].name.clone();
    for id in ["1", "2"] {
        whereby.join(&name, &Person::new(id, "Zoë", "visitor")).unwrap();
    }
    let sessions = || {
        let path = format!("/insights/room-sessions?roomName={}", name.replace('/', "%2F"));
        call(&whereby, "GET", &path, None).unwrap().2["results"].clone()
    };
    assert_eq!(sessions()[0]["endedAt"], Value::Null);
    whereby.leave(&name, "1").unwrap();
    assert!(sessions()[0]["endedAt"].is_string());
    let id = sessions()[0]["roomSessionId"].as_str().unwrap().to_owned();
    let path = format!("/insights/participants?roomSessionId={id}");
    let people = call(&whereby, "GET", &path, None).unwrap().2["results"].clone();
    assert_eq!((people.as_array().unwrap().len(), &people[0]["displayName"]), (2, &json!("Zoë")));
}

#[test]
fn an_event_is_sent_three_times_to_a_server_in_trouble_and_once_to_one_that_refuses() {
    let whereby = Whereby::start().unwrap();
    let sink = Sink::start().unwrap();
    let url = format!("{}/v1/jitsi/events", sink.url());
    let event = Event::new("room.client.knocked", json!({}), OffsetDateTime::now_utc());
    for (status, expected) in [(503, vec![Some(503); 3]), (404, vec![Some(404)])] {
        let refuse_all = Some(Refusal::proxy_page(status));
        sink.set_faults(SinkFaults { refuse_all, ..SinkFaults::default() });
        assert_eq!(whereby.send(&url, &event).unwrap().wait(), expected);
    }
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(whereby.send(&format!("http://{gone}"), &event).unwrap().wait(), vec![None; 3]);
}
