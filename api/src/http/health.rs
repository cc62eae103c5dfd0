//! `GET /health`: whether this process can do its work.

use axum::{Json, extract};
use serde::Serialize;

use super::State;
use super::problem::ApiError;
use crate::db;

/// The answer while all is well.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Health {
    status: &'static str,
}

/// 200 while the database answers, 503 otherwise: what a load balancer asks.
#[utoipa::path(
    get, path = "/health", operation_id = "health",
    responses((status = 200, body = Health, description = "Successful Response")),
)]
pub async fn get(extract::State(state): extract::State<State>) -> Result<Json<Health>, ApiError> {
    db::ping(&state.db).await?;
    Ok(Json(Health { status: "healthy" }))
}
