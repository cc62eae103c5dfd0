//! `POST /v1/rooms/{room_id}/webhook/test`: sends the room's webhook a test, and tells what came of it.

use std::time::Duration;

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use serde::Serialize;
use serde_json::json;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::config::Secret;
use crate::db::rooms;
use crate::domain::moment::whole_microseconds;
use crate::domain::room::Room;
use crate::http::State;
use crate::http::caller::User;
use crate::http::date_time::DateTime;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::webhooks::client::{Message, Outcome};

/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

const EVENT: &str = "test";

/// What came of a test.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct WebhookTestResult {
    /// Whether the receiver answered with a status of 200 to 299.
    success: bool,
    #[schema(required = false, default = "")]
    message: String,
    /// Why there was no answer.
    #[schema(required = false, default = "")]
    error: String,
    /// The receiver's status.
    status_code: Option<u16>,
    /// The beginning of the receiver's answer.
    response_preview: Option<String>,
}

impl WebhookTestResult {
    fn failed(error: impl Into<String>) -> Self {
        Self { error: error.into(), ..Self::default() }
    }
}

impl From<Outcome> for WebhookTestResult {
    fn from(outcome: Outcome) -> Self {
        let success = outcome.is_success();
        match outcome {
            Outcome::Answered { status, preview, .. } => Self {
                success,
                message: format!("Webhook test {}", if success { "successful" } else { "failed" }),
                error: String::new(),
                status_code: Some(status),
                response_preview: Some(preview),
            },
            Outcome::TimedOut => {
                Self::failed(format!("Webhook request timed out ({} seconds)", PATIENCE.as_secs()))
            }
            Outcome::Unreachable(reason) => {
                Self::failed(format!("Could not connect to webhook URL: {reason}"))
            }
            Outcome::Forbidden(_) => {
                Self::failed("The webhook was not sent: the address is not a public one")
            }
            Outcome::Refused(reason) => Self::failed(format!("The webhook was not sent: {reason}")),
        }
    }
}

fn body(room: &Room, id: &str, now: OffsetDateTime) -> Vec<u8> {
    let body = json!({
        "event": EVENT, "event_id": id, "timestamp": DateTime(now),
        "message": "This is a test webhook from Reflector",
        "room": {"id": room.id, "name": room.name},
    });
    body.to_string().into_bytes()
}

/// Answers the room's owner, with 200 also when the test failed. It is sent once and kept nowhere.
#[utoipa::path(
    post, path = "/v1/rooms/{room_id}/webhook/test", operation_id = "v1_rooms_test_webhook",
    params(("room_id" = String, Path, description = "The room's id")),
    responses((status = 200, body = WebhookTestResult, description = "Successful Response"), (status = 403, description = "The room is somebody else's")),
    security(("bearer" = [])),
)]
pub async fn test_webhook(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(id): PathText,
) -> Result<Json<WebhookTestResult>, ApiError> {
    let room = rooms::find(&state.db, &id).await?;
    let room = room.ok_or_else(|| ApiError::titled(ProblemCode::RoomNotFound))?;
    if !room.is_owned_by(&caller.user_id) {
        return Err(ApiError::new(ProblemCode::Forbidden, "Not authorized to test this room's webhook"));
    }
    let Some(url) = &room.webhook_url else {
        return Ok(Json(WebhookTestResult::failed("No webhook URL configured")));
    };
    let now = whole_microseconds(OffsetDateTime::now_utc());
    let id = format!("msg_{}", Uuid::new_v4().simple());
    let secret = room.webhook_secret.as_deref().map(Secret::new);
    let body = body(&room, &id, now);
    let message = Message { url, secret: secret.as_ref(), id: &id, event: EVENT, retry: 0, body };
    let outcome = state.webhooks.client().send(message, now, PATIENCE).await;
    if let Outcome::Forbidden(forbidden) = &outcome {
        tracing::info!(room.id, webhook.id = id, "a test webhook is not sent: {forbidden}");
    } else {
        tracing::info!(room.id, webhook.id = id, success = outcome.is_success(), "sent a test webhook");
    }
    Ok(Json(outcome.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhooks::address::Forbidden;

    #[test]
    fn every_outcome_is_told_as_the_frontends_know_it() {
        let answered =
            |status| Outcome::Answered { status, retry_after: None, preview: "{\"ok\":1}".to_owned() };
        let result = |success, message: &str, status| WebhookTestResult {
            success,
            message: message.to_owned(),
            error: String::new(),
            status_code: Some(status),
            response_preview: Some("{\"ok\":1}".to_owned()),
        };
        for (outcome, expected) in [
            (answered(204), result(true, "Webhook test successful", 204)),
            (answered(302), result(false, "Webhook test failed", 302)),
            (answered(500), result(false, "Webhook test failed", 500)),
            (Outcome::TimedOut, WebhookTestResult::failed("Webhook request timed out (10 seconds)")),
            (
                Outcome::Unreachable("connection refused".into()),
                WebhookTestResult::failed("Could not connect to webhook URL: connection refused"),
            ),
            (
                Outcome::Forbidden(Forbidden([10, 0, 0, 1].into())),
                WebhookTestResult::failed("The webhook was not sent: the address is not a public one"),
            ),
            (
                Outcome::Refused("it names no host".into()),
                WebhookTestResult::failed("The webhook was not sent: it names no host"),
            ),
        ] {
            assert_eq!(WebhookTestResult::from(outcome), expected);
        }
    }
}
