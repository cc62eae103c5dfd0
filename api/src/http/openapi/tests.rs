//! What the document says, and that it says it of every route.

use std::collections::BTreeSet;

use super::*;
use crate::http::router::documented;

fn whole() -> Value {
    document(documented().get_openapi(), "")
}

/// Every operation, with its method and path.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item)| {
        let item: &Value = item;
        let path: &String = path;
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (method.clone(), path.clone(), operation))
    };
    paths.iter().flat_map(of_path).collect()
}

fn names(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| names(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, found)),
        _ => {}
    }
}

#[test]
fn the_frontends_find_every_operation_under_its_name() {
    let document = whole();
    let found: BTreeSet<_> = operations(&document)
        .into_iter()
        .map(|(method, path, operation)| {
            (operation["operationId"].as_str().unwrap().to_owned(), method, path)
        })
        .collect();
    for (id, method, path) in [
        ("health", "get", "/health"),
        ("v1_rooms_list", "get", "/v1/rooms"),
        ("v1_rooms_create", "post", "/v1/rooms"),
        ("v1_rooms_get", "get", "/v1/rooms/{room_id}"),
        ("v1_rooms_update", "patch", "/v1/rooms/{room_id}"),
        ("v1_rooms_delete", "delete", "/v1/rooms/{room_id}"),
        ("v1_rooms_get_by_name", "get", "/v1/rooms/name/{room_name}"),
        ("v1_rooms_create_meeting", "post", "/v1/rooms/{room_name}/meeting"),
        ("v1_rooms_list_meetings", "get", "/v1/rooms/{room_name}/meetings"),
        ("v1_rooms_list_upcoming_meetings", "get", "/v1/rooms/{room_name}/meetings/upcoming"),
        ("v1_rooms_list_active_meetings", "get", "/v1/rooms/{room_name}/meetings/active"),
        ("v1_rooms_get_meeting", "get", "/v1/rooms/{room_name}/meetings/{meeting_id}"),
        ("v1_rooms_join_meeting", "post", "/v1/rooms/{room_name}/meetings/{meeting_id}/join"),
        ("v1_rooms_test_webhook", "post", "/v1/rooms/{room_id}/webhook/test"),
        ("v1_whereby_webhook", "post", "/v1/whereby"),
        ("v1_rooms_sync_ics", "post", "/v1/rooms/{room_name}/ics/sync"),
        ("v1_rooms_ics_status", "get", "/v1/rooms/{room_name}/ics/status"),
        ("v1_meeting_audio_consent", "post", "/v1/meetings/{meeting_id}/consent"),
        ("v1_meeting_deactivate", "patch", "/v1/meetings/{meeting_id}/deactivate"),
        ("v1_jitsi_events_webhook", "post", "/v1/jitsi/events"),
        ("v1_jitsi_health_check", "get", "/v1/jitsi/health"),
        ("v1_jibri_recording_complete", "post", "/v1/jibri/recording-complete"),
        ("v1_user_me", "get", "/v1/me"),
        ("v1_list_api_keys", "get", "/v1/user/api-keys"),
        ("v1_create_api_key", "post", "/v1/user/api-keys"),
        ("v1_delete_api_key", "delete", "/v1/user/api-keys/{key_id}"),
    ] {
        assert!(
            found.contains(&(id.to_owned(), method.to_owned(), path.to_owned())),
            "{method} {path} is no {id}"
        );
    }
    let ids: BTreeSet<_> = found.iter().map(|(id, _, _)| id).collect();
    assert_eq!(ids.len(), found.len(), "two operations have one name");
}

#[test]
fn what_the_document_names_it_also_describes() {
    let document = whole();
    let mut found = BTreeSet::new();
    names(&document, &mut found);
    for name in found {
        let described = document.pointer(name.strip_prefix('#').unwrap());
        assert!(described.is_some_and(Value::is_object), "{name} is described nowhere");
    }
    let schemes = &document["components"]["securitySchemes"];
    for (method, path, operation) in operations(&document) {
        for scheme in operation["security"].as_array().into_iter().flatten() {
            for name in scheme.as_object().unwrap().keys() {
                assert!(schemes[name].is_object(), "{method} {path}: {name} is no scheme");
            }
        }
    }
}

#[test]
fn every_operation_says_how_it_refuses_and_what_it_is_about() {
    for (method, path, operation) in operations(&whole()) {
        let place = format!("{method} {path}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{place} never succeeds");
        assert!(responses.contains_key("503"), "{place}");
        assert_eq!(responses.contains_key("401"), operation["security"].is_array(), "{place}");
        assert_eq!(responses.contains_key("415"), operation["requestBody"].is_object(), "{place}");
        assert!(!path.contains('{') || responses.contains_key("404"), "{place}");
        for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
            assert!(response["content"][PROBLEM_JSON]["schema"]["$ref"].is_string(), "{place}: {status}");
        }
        assert!(operation["description"].as_str().is_some_and(|text| !text.contains("[`")), "{place}");
    }
}

#[test]
fn members_are_typed_as_the_frontends_know_them() {
    let document = whole();
    let schema = |name: &str| &document["components"]["schemas"][name];
    assert_eq!(schema("Room")["properties"]["created_at"], json!({"type": "string", "format": "date-time"}));
    assert_eq!(
        schema("Backlog")["properties"]["oldest_at"]["anyOf"],
        json!([{"type": "string", "format": "date-time"}, {"type": "null"}])
    );
    assert_eq!(schema("Room")["properties"]["platform"], json!({"$ref": "#/components/schemas/Platform"}));
    assert_eq!(schema("Platform")["enum"], json!(["jitsi", "whereby"]));
    assert_eq!(
        schema("RecordingTrigger")["enum"],
        json!(["none", "prompt", "automatic", "automatic-2nd-participant"])
    );
    let details = schema("RoomDetails");
    assert!(details["allOf"].is_null() && details["properties"]["name"].is_object(), "{details:#}");
    let required = details["required"].as_array().unwrap();
    assert!(required.contains(&json!("webhook_secret")) && required.contains(&json!("name")));
    assert_eq!(schema("CreateRoom")["properties"]["ics_fetch_interval"]["default"], 300);
    assert_eq!(schema("CreateRoomMeeting")["properties"]["allow_duplicated"]["default"], false);
    assert_eq!(schema("Page_RoomDetails_")["title"], "Page[RoomDetails]");
    let body = &document["paths"]["/v1/rooms/{room_name}/meeting"]["post"]["requestBody"];
    assert_eq!(
        body["content"]["application/json"]["schema"],
        json!({"$ref": "#/components/schemas/CreateRoomMeeting"})
    );
    assert_ne!(body["required"], true);
}

#[test]
fn a_name_becomes_a_summary() {
    for (id, expected) in [
        ("v1_rooms_list", "Rooms List"),
        ("health", "Health"),
        ("v1_rooms_sync_ics", "Rooms Sync Ics"),
        ("", ""),
    ] {
        assert_eq!(title(id), expected);
    }
}

#[test]
fn a_server_under_a_prefix_says_so() {
    let collected = frame();
    assert_eq!(document(&collected, "")["servers"], Value::Null);
    assert_eq!(document(&collected, "/server-api")["servers"], json!([{"url": "/server-api"}]));
}
