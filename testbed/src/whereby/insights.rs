//! `/v1/insights/…`: ten results a page unless more are asked for.

use contract::event::format_timestamp;
use serde_json::{Value, json};

use super::account::{Account, Session, Stay};
use super::answer::{Answer, Request};
use super::page;

const DEFAULT_LIMIT: usize = 10;

/// The sessions of a room, the oldest first.
pub(super) fn room_sessions(request: &Request, account: &Account) -> Answer {
    let Some(name) = request.query("roomName") else { return Answer::error(400, "roomName is required") };
    let id = request.query("roomSessionId");
    let wanted = |session: &&Session| {
        session.room_name == name && id.as_ref().is_none_or(|id| *id == session.room_session_id)
    };
    page::answer(request, DEFAULT_LIMIT, account.sessions.iter().filter(wanted).map(session).collect())
}

/// Who was in a session.
pub(super) fn participants(request: &Request, account: &Account) -> Answer {
    let Some(id) = request.query("roomSessionId") else {
        return Answer::error(400, "roomSessionId is required");
    };
    let found = account.sessions.iter().find(|session| session.room_session_id == id);
    let stays = found.map(|session| session.stays.iter().map(|stay| participant(session, stay)).collect());
    page::answer(request, DEFAULT_LIMIT, stays.unwrap_or_default())
}

fn session(session: &Session) -> Value {
    let count = |role: &str| session.stays.iter().filter(|stay| stay.person.role == role).count();
    let (recorders, streamers) = (count("recorder"), count("streamer"));
    json!({
        "roomSessionId": session.room_session_id,
        "roomName": session.room_name,
        "startedAt": format_timestamp(session.started_at),
        "endedAt": session.ended_at.map(format_timestamp),
        "totalParticipantMinutes": 0,
        "totalRecorderMinutes": 0,
        "totalStreamerMinutes": 0,
        "totalUniqueParticipants": session.stays.len() - recorders - streamers,
        "totalUniqueRecorders": recorders,
        "totalUniqueStreamers": streamers,
        "rating": null,
        "totalRatings": null,
    })
}

fn participant(session: &Session, stay: &Stay) -> Value {
    let person = &stay.person;
    json!({
        "roomSessionId": session.room_session_id,
        "participantId": person.participant_id,
        "deviceId": format!("device-{}", person.participant_id),
        "userId": null,
        "roleName": person.role,
        "displayName": person.display_name,
        "joinedAt": format_timestamp(stay.joined_at),
        "leftAt": stay.left_at.map(format_timestamp),
        "externalId": person.external_id,
        "rating": null,
        "tags": null,
        "comment": null,
    })
}
