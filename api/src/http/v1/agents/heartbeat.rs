//! `POST /v1/agents/heartbeat`: an agent's sign of life.

use axum::{Json, extract};
use contract::heartbeat::{Heartbeat, HeartbeatReply, MAX_HOST_ID_BYTES};
use serde_json::json;
use time::OffsetDateTime;

use crate::db::{self, agents};
use crate::http::State;
use crate::http::problem::ApiError;
use crate::http::signed::Dated;
use crate::http::validation::Invalid;

/// Keeps what the agent says, whole, and tells it the time.
#[utoipa::path(
    post, path = "/v1/agents/heartbeat", operation_id = "v1_agents_heartbeat",
    request_body = Heartbeat,
    responses((status = 200, body = HeartbeatReply, description = "Successful Response")),
    security(("jitsi" = [])),
)]
pub(super) async fn post(
    extract::State(state): extract::State<State>,
    Dated { signed, .. }: Dated,
) -> Result<Json<HeartbeatReply>, ApiError> {
    let heartbeat: Heartbeat = signed.parse()?;
    if heartbeat.host_id.is_empty() || heartbeat.host_id.len() > MAX_HOST_ID_BYTES {
        let msg = format!("must have 1 to {MAX_HOST_ID_BYTES} bytes");
        return Err(Invalid::value("host_id", json!(heartbeat.host_id), msg).into());
    }
    let body = String::from_utf8_lossy(&signed.bytes);
    match agents::note(&state.db, &heartbeat, &body, signed.agent.as_deref()).await {
        Err(error) if db::is_about_data(&error) => {
            let msg = "a text must not contain the character U+0000, and a number must not be too large";
            Err(Invalid::value("heartbeat", json!(heartbeat.host_id), msg).into())
        }
        result => {
            result?;
            Ok(Json(HeartbeatReply { status: "ok".to_owned(), server_time: OffsetDateTime::now_utc() }))
        }
    }
}
