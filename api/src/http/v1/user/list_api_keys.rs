//! `GET /v1/user/api-keys`: the caller's API keys.

use axum::Json;
use axum::extract;

use super::ApiKeyBody;
use crate::db::api_keys;
use crate::http::State;
use crate::http::caller::User;
use crate::http::problem::ApiError;

/// Answers with the keys, newest first. What they are cannot be told any more.
#[utoipa::path(
    get, path = "/v1/user/api-keys", operation_id = "v1_list_api_keys",
    responses((status = 200, body = Vec<ApiKeyBody>, description = "Successful Response")),
    security(("bearer" = [])),
)]
pub async fn list_api_keys(
    extract::State(state): extract::State<State>,
    User(caller): User,
) -> Result<Json<Vec<ApiKeyBody>>, ApiError> {
    let keys = api_keys::list(&state.db, &caller.user_id).await?;
    Ok(Json(keys.into_iter().map(ApiKeyBody::from).collect()))
}
