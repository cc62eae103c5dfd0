//! `POST /v1/rooms/{room_name}/meeting`: the address of the room's meeting, which begins if none is on.

use std::time::Duration;

use axum::extract;
use contract::problem::ProblemCode;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db::meetings::{self, Entered};
use crate::db::{lifecycle, record, rooms};
use crate::domain::meeting::Meeting;
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
use crate::jobs;
use crate::whereby::{EnterError, Whereby, WherebyError};

/// When it is worth asking again after Whereby refused: a person has to do something first.
const REFUSAL_LASTS: Duration = Duration::from_mins(1);

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

/// Leads the caller into the meeting that is on, or into a new one.
async fn enter(
    state: &State,
    room: &Room,
    always_begin: bool,
    now: OffsetDateTime,
) -> Result<Option<Entered>, ApiError> {
    match room.settings.platform {
        Platform::Jitsi => {
            links::jitsi(state)?;
            Ok(meetings::enter(&state.db, room, always_begin, now, |room| begin(room, now)).await?)
        }
        Platform::Whereby => {
            let entered = whereby(state)?.enter(room, always_begin, now).await;
            entered.map_err(no_meeting)
        }
    }
}

/// The way to Whereby; an error that names what is missing without it.
fn whereby(state: &State) -> Result<&Whereby, ApiError> {
    state.whereby.as_ref().ok_or_else(|| {
        let missing = state.config.whereby.meetings.as_ref().err().map(|names| names.join(" and "));
        let missing = missing.unwrap_or_default();
        let detail = format!("Whereby is not configured on this server; its operator must set {missing}.");
        ApiError::new(ProblemCode::PlatformNotConfigured, detail)
    })
}

/// What a caller is told when Whereby has no meeting for them. What Whereby says is for the log.
fn no_meeting(error: EnterError) -> ApiError {
    match error {
        EnterError::InProgress => ApiError::for_now("Meeting creation in progress, please try again"),
        EnterError::Whereby(WherebyError::Throttled { after }) => {
            let detail = format!("Whereby takes no more requests now; try again in {} s.", after.as_secs());
            ApiError::platform_unavailable(detail, after)
        }
        EnterError::Whereby(WherebyError::Refused { .. }) => ApiError::platform_unavailable(
            "Whereby refuses to make a meeting; this server's operator finds its reason in the log.",
            REFUSAL_LASTS,
        ),
        EnterError::Whereby(WherebyError::Database(error)) | EnterError::Database(error) => error.into(),
        EnterError::Whereby(WherebyError::Failed { .. } | WherebyError::Silent { .. }) => {
            ApiError::platform_unavailable("Whereby does not answer; try again shortly.", Duration::ZERO)
        }
        EnterError::Ended => ApiError::internal(&error),
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
    let entered = enter(&state, &room, always_begin, now).await?;
    let (meeting, people) = match entered.ok_or_else(not_found)? {
        Entered::Running(meeting) => {
            lifecycle::expect_visitor(&state.db, &meeting.id).await?;
            let people = record::people(&state.db, &meeting).await?;
            (meeting, people)
        }
        Entered::Begun(meeting) => {
            tracing::info!(meeting.id, room.name, "began a meeting");
            if room.settings.platform == Platform::Whereby {
                // Whereby may have told of its first visitors while it was not stored yet.
                state.wakes.wake(jobs::STRAYS);
            }
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
