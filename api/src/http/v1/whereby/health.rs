//! `GET /v1/whereby/health`: the guide's health check.

use axum::{Json, extract};
use contract::event::format_timestamp;
use serde::Serialize;
use time::OffsetDateTime;

use crate::http::State;

/// Whether this server can take webhooks, and make rooms.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = WherebyHealth)]
pub(super) struct Health {
    status: &'static str,
    service: &'static str,
    timestamp: String,
    webhook_secret_configured: bool,
    api_key_configured: bool,
}

/// Says that the service runs, and what of its Whereby side is set. Asks Whereby nothing.
#[utoipa::path(
    get, path = "/v1/whereby/health", operation_id = "v1_whereby_health_check",
    responses((status = 200, body = Health, description = "Successful Response")),
)]
pub(super) async fn get(extract::State(state): extract::State<State>) -> Json<Health> {
    Json(Health {
        status: "ok",
        service: "whereby-webhooks",
        timestamp: format_timestamp(OffsetDateTime::now_utc()),
        webhook_secret_configured: !state.config.whereby.webhook_secrets.is_empty(),
        api_key_configured: state.config.whereby.meetings.is_ok(),
    })
}
