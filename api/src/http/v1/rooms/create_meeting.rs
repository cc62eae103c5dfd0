//! `POST /v1/rooms/{room_name}/meeting`: the address of the room's meeting, which begins if none is on.

use axum::extract;
use contract::problem::ProblemCode;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db::meetings::{self, Entered};
use crate::db::{record, rooms};
use crate::domain::meeting::{Meeting, people_present};
use crate::domain::moment::whole_microseconds;
use crate::domain::room::{Platform, Room};
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::json_body::JsonObject;
use crate::http::path_text::PathText;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::v1::meetings::body::MeetingBody;
use crate::http::v1::meetings::links::{self, Links};
use crate::http::validation::{Fields, Invalid};
use crate::jitsi::address;

/// What a caller may say about the meeting. No body says nothing.
#[derive(Debug, utoipa::ToSchema)]
pub struct CreateRoomMeeting {
    /// Whether a meeting begins although one is on already.
    #[schema(default = false)]
    pub allow_duplicated: Option<bool>,
}

/// Reads the body: whether a meeting begins in any case.
fn always_begin(body: &Map<String, Value>) -> Result<bool, Vec<Invalid>> {
    let mut fields = Fields::of(body);
    let always = fields.optional_flag("allow_duplicated", false);
    fields.finish().map(|()| always)
}

/// A meeting in `room` from now on.
fn begin(room: &Room, now: OffsetDateTime) -> Meeting {
    let id = Uuid::new_v4();
    Meeting::begin(room, id.to_string(), address::room_name(&room.name, id), now)
}

fn refuse_without_platform(state: &State, platform: Platform) -> Result<(), ApiError> {
    match platform {
        Platform::Jitsi => links::jitsi(state).map(drop),
        Platform::Whereby => Err(ApiError::new(
            ProblemCode::PlatformNotConfigured,
            "Whereby is not available on this server; use a room with the platform jitsi.",
        )),
    }
}

/// Answers with the meeting and its addresses. Anybody who knows a room's name may come in; only the owner as a moderator.
#[utoipa::path(
    post, path = "/v1/rooms/{room_name}/meeting", operation_id = "v1_rooms_create_meeting",
    params(("room_name" = String, Path, description = "The room's name")),
    request_body = Option<CreateRoomMeeting>,
    responses((status = 200, body = MeetingBody, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn create_meeting(
    extract::State(state): extract::State<State>,
    MaybeUser(caller): MaybeUser,
    PathText(name): PathText,
    body: JsonObject,
) -> Result<Private<MeetingBody>, ApiError> {
    let always_begin = always_begin(&body.or_empty())?;
    let now = whole_microseconds(OffsetDateTime::now_utc());
    let not_found = || ApiError::titled(ProblemCode::RoomNotFound);
    let room = rooms::find_by_name(&state.db, &name).await?.ok_or_else(not_found)?;
    refuse_without_platform(&state, room.settings.platform)?;
    let entered = meetings::enter(&state.db, &room, always_begin, now, |room| begin(room, now)).await?;
    let (meeting, people) = match entered.ok_or_else(not_found)? {
        Entered::Running(meeting) => {
            let (occupants, boots) = record::presence(&state.db, &meeting.id).await?;
            (meeting, people_present(&occupants, &boots))
        }
        Entered::Begun(meeting) => {
            tracing::info!(meeting.id, room.name, "began a meeting");
            (meeting, 0)
        }
    };
    let is_owner = caller.as_ref().is_some_and(|caller| room.is_owned_by(&caller.user_id));
    let links = Links::of(&state, &meeting, caller.as_ref(), is_owner, now)?;
    Ok(Private(MeetingBody::new(meeting, links, people, now)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_second_meeting_is_begun_only_on_demand() {
        for (body, expected) in [
            (json!({}), Ok(false)),
            (json!({"allow_duplicated": true}), Ok(true)),
            (json!({"allow_duplicated": "no"}), Ok(false)),
            (json!({"allow_duplicated": null}), Ok(false)),
            (json!({"allow_duplicated": []}), Err("bool_type")),
        ] {
            let found = always_begin(body.as_object().unwrap()).map_err(|findings| findings[0].kind);
            assert_eq!(found, expected, "{body}");
        }
    }
}
