//! `DELETE /v1/user/api-keys/{key_id}`: takes an API key back.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;

use crate::db::api_keys;
use crate::http::State;
use crate::http::caller::User;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;
use crate::http::v1::rooms::delete::DeletionStatus;

/// Removes a key of the caller's; from then on it says nothing. Another user's key is not found.
#[utoipa::path(
    delete, path = "/v1/user/api-keys/{key_id}", operation_id = "v1_delete_api_key",
    params(("key_id" = String, Path, description = "The key's id")),
    responses((status = 200, body = DeletionStatus, description = "Successful Response")),
    security(("bearer" = [])),
)]
pub async fn delete_api_key(
    extract::State(state): extract::State<State>,
    User(caller): User,
    PathText(id): PathText,
) -> Result<Json<DeletionStatus>, ApiError> {
    if !api_keys::delete(&state.db, &id, &caller.user_id).await? {
        return Err(ApiError::titled(ProblemCode::ApiKeyNotFound));
    }
    tracing::info!(api_key.id = id, "deleted an API key");
    Ok(Json(DeletionStatus::ok()))
}
