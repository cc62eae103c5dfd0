//! `POST /v1/user/api-keys`: a key that the caller's programs send instead of a bearer token.

use axum::extract;
use serde::Serialize;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::Uuid;

use super::ApiKeyBody;
use crate::auth::api_key::ApiKey;
use crate::db::api_keys::{self, ApiKeyRecord};
use crate::domain::moment::whole_microseconds;
use crate::http::State;
use crate::http::caller::User;
use crate::http::json_body::JsonObject;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::validation::{Fields, Invalid};

/// What a caller says about a new key.
#[derive(Debug, ToSchema)]
pub struct CreateApiKeyRequest {
    /// What the caller calls it.
    pub name: Option<String>,
}

/// A new key: the schema `CreateApiKeyResponse`.
#[derive(Serialize, ToSchema)]
#[schema(as = CreateApiKeyResponse)]
pub struct NewApiKeyBody {
    #[serde(flatten)]
    record: ApiKeyBody,
    /// The key, told this once.
    key: String,
}

fn name(body: &Map<String, Value>) -> Result<Option<String>, Vec<Invalid>> {
    let mut fields = Fields::of(body);
    let name = fields.optional_text("name");
    fields.finish().map(|()| name)
}

/// Answers with the key, which nobody can look up later.
#[utoipa::path(
    post, path = "/v1/user/api-keys", operation_id = "v1_create_api_key",
    request_body = CreateApiKeyRequest,
    responses((status = 200, body = NewApiKeyBody, description = "Successful Response")),
    security(("bearer" = [])),
)]
pub async fn create_api_key(
    extract::State(state): extract::State<State>,
    User(caller): User,
    body: JsonObject,
) -> Result<Private<NewApiKeyBody>, ApiError> {
    let name = name(&body.required()?)?;
    let key = ApiKey::random().map_err(|error| ApiError::internal(&error))?;
    let record = ApiKeyRecord {
        id: Uuid::new_v4().to_string(),
        user_id: caller.user_id.clone(),
        name,
        created_at: whole_microseconds(OffsetDateTime::now_utc()),
    };
    api_keys::create(&state.db, &record, &caller, &key.digest()).await?;
    tracing::info!(api_key.id = record.id, "made an API key");
    Ok(Private(NewApiKeyBody { record: ApiKeyBody::from(record), key: key.into_text() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_key_may_have_a_name() {
        for (body, expected) in [
            (json!({}), Ok(None)),
            (json!({"name": null}), Ok(None)),
            (json!({"name": ""}), Ok(None)),
            (json!({"name": "nightly export"}), Ok(Some("nightly export".to_owned()))),
            (json!({"name": 7}), Err("string_type")),
        ] {
            let found = name(body.as_object().unwrap()).map_err(|findings| findings[0].kind);
            assert_eq!(found, expected, "{body}");
        }
    }
}
