//! `POST /v1/meetings/{meeting_id}/consent`: whether somebody agrees to be recorded.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::db::consents::{self, Given};
use crate::domain::consent::GRACE;
use crate::domain::moment::whole_microseconds;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::json_body::JsonObject;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::validation::{Fields, Invalid};

/// What the caller gets back.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = MeetingConsentResponse)]
pub struct ConsentBody {
    status: &'static str,
    consent_id: String,
}

/// What the caller says.
#[derive(Debug, utoipa::ToSchema)]
pub struct MeetingConsentRequest {
    /// Whether they agree. `"yes"`, `"no"`, 1 and 0 are understood, too.
    pub consent_given: bool,
}

/// Reads the body.
fn is_given(body: &Map<String, Value>) -> Result<bool, Vec<Invalid>> {
    let mut fields = Fields::of(body);
    let given = fields.flag("consent_given");
    fields.finish().map(|()| given)
}

/// Stores the caller's answer. The last answer of somebody who is known counts; each anonymous one stands for itself. Answers count
/// until 15 minutes after the meeting.
#[utoipa::path(
    post, path = "/v1/meetings/{meeting_id}/consent", operation_id = "v1_meeting_audio_consent",
    params(("meeting_id" = String, Path, description = "The meeting's id")),
    request_body = MeetingConsentRequest,
    responses((status = 200, body = ConsentBody, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn consent(
    extract::State(state): extract::State<State>,
    caller: MaybeUser,
    PathText(meeting_id): PathText,
    body: JsonObject,
) -> Result<Json<ConsentBody>, ApiError> {
    let given = is_given(&body.required()?)?;
    let now = whole_microseconds(OffsetDateTime::now_utc());
    let id = Uuid::new_v4().to_string();
    let stored = consents::give(&state.db, &id, &meeting_id, caller.id(), given, now).await?;
    match stored.ok_or_else(|| ApiError::titled(ProblemCode::MeetingNotFound))? {
        Given::Stored(consent_id) => Ok(Json(ConsentBody { status: "success", consent_id })),
        Given::TooLate => {
            let minutes = GRACE.whole_minutes();
            let detail = format!("Meeting has ended; answers count until {minutes} minutes after its end");
            Err(ApiError::new(ProblemCode::MeetingEnded, detail))
        }
    }
}
