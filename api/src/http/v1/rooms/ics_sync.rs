//! `POST /v1/rooms/{room_name}/ics/sync`: asks for the room's calendar to be read now. Nothing reads calendars yet, and the answer
//! says so.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::ics_status::own_room;
use crate::http::State;
use crate::http::caller::User;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

/// What came of reading a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SyncStatus {
    /// Something in it had changed.
    Success,
    /// Nothing had.
    Unchanged,
    /// It could not be read.
    Error,
    /// It was not read, for the reason that is given.
    Skipped,
}

/// The result of one reading.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ICSSyncResult)]
pub struct IcsSyncResult {
    status: SyncStatus,
    hash: Option<String>,
    #[schema(required = false, default = 0)]
    events_found: u32,
    #[schema(required = false, default = 0)]
    total_events: u32,
    #[schema(required = false, default = 0)]
    events_created: u32,
    #[schema(required = false, default = 0)]
    events_updated: u32,
    #[schema(required = false, default = 0)]
    events_deleted: u32,
    error: Option<String>,
    reason: Option<String>,
}

impl IcsSyncResult {
    /// Nothing was done, for this reason.
    fn skipped(reason: &str) -> Self {
        Self {
            status: SyncStatus::Skipped,
            hash: None,
            events_found: 0,
            total_events: 0,
            events_created: 0,
            events_updated: 0,
            events_deleted: 0,
            error: None,
            reason: Some(reason.to_owned()),
        }
    }
}

/// Answers the owner of a room whose calendar is turned on and has an address.
#[utoipa::path(
    post, path = "/v1/rooms/{room_name}/ics/sync", operation_id = "v1_rooms_sync_ics",
    params(("room_name" = String, Path, description = "The room's name")),
    responses(
        (status = 200, body = IcsSyncResult, description = "Successful Response"),
        (status = 400, description = "The room's calendar is turned off or has no address"),
        (status = 403, description = "The room is somebody else's"),
    ),
    security(("bearer" = [])),
)]
pub async fn ics_sync(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(name): PathText,
) -> Result<Json<IcsSyncResult>, ApiError> {
    let room = own_room(&state, &caller, &name, "Only room owner can trigger ICS sync").await?;
    if !room.calendar.enabled || room.calendar.url.is_none() {
        return Err(ApiError::titled(ProblemCode::CalendarNotConfigured));
    }
    Ok(Json(IcsSyncResult::skipped("this server does not read calendars")))
}
