//! `GET /v1/me`: who the caller is.

use axum::Json;
use serde::Serialize;

use crate::http::caller::MaybeUser;

/// The caller.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct UserInfo {
    /// The id that the caller's rooms have as `user_id`.
    sub: String,
    #[schema(required)]
    email: Option<String>,
}

/// Answers with the caller; with null for somebody who does not say.
#[utoipa::path(
    get, path = "/v1/me", operation_id = "v1_user_me",
    responses((status = 200, body = Option<UserInfo>, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn get(MaybeUser(caller): MaybeUser) -> Json<Option<UserInfo>> {
    Json(caller.map(|caller| UserInfo { sub: caller.user_id, email: caller.email }))
}
