//! `GET /v1/jitsi/health`: the guide's health check.

use axum::Json;
use axum::extract;
use contract::event::format_timestamp;
use serde::Serialize;
use time::OffsetDateTime;

use crate::http::State;

/// The members that the guide shows.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = JitsiHealth)]
pub(super) struct Health {
    status: &'static str,
    service: &'static str,
    timestamp: String,
    webhook_secret_configured: bool,
}

/// Says that the service runs, and whether it can take deliveries.
#[utoipa::path(
    get, path = "/v1/jitsi/health", operation_id = "v1_jitsi_health_check",
    responses((status = 200, body = Health, description = "Successful Response")),
)]
pub(super) async fn get(extract::State(state): extract::State<State>) -> Json<Health> {
    Json(Health {
        status: "ok",
        service: "jitsi-webhooks",
        timestamp: format_timestamp(OffsetDateTime::now_utc()),
        webhook_secret_configured: state.config.jitsi.webhook_secrets.is_some(),
    })
}
