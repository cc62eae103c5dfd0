//! `POST /v1/user/api-keys`: a key that the caller's programs send instead of a bearer token.

use axum::extract;
use contract::problem::ProblemCode;
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
use crate::http::caller::UserByToken;
use crate::http::json_body::JsonObject;
use crate::http::private::Private;
use crate::http::problem::ApiError;
use crate::http::validation::{Fields, Invalid};

/// The most keys of one user.
const MOST_KEYS: u32 = 100;

/// The longest name of a key.
const MAX_NAME_CHARS: usize = 255;

/// What a caller says about a new key.
#[derive(Debug, ToSchema)]
pub struct CreateApiKeyRequest {
    /// What the caller calls it.
    #[schema(max_length = 255)]
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
    let chars = name.as_deref().map_or(0, |name| name.chars().count());
    if chars > MAX_NAME_CHARS {
        fields.refuse(
            "name",
            format!("a key's name has at most {MAX_NAME_CHARS} characters, this one has {chars}"),
        );
    }
    fields.finish().map(|()| name)
}

/// Answers with the key, which nobody can look up later. A key makes no keys: whoever gets hold of one must not keep the way in when it
/// is deleted.
#[utoipa::path(
    post, path = "/v1/user/api-keys", operation_id = "v1_create_api_key",
    request_body = CreateApiKeyRequest,
    responses((status = 200, body = NewApiKeyBody, description = "Successful Response"), (status = 403, description = "The caller sent an API key alone, or has as many keys as there may be")),
    security(("bearer" = [])),
)]
pub async fn create_api_key(
    extract::State(state): extract::State<State>,
    UserByToken(caller): UserByToken,
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
    if !api_keys::create(&state.db, &record, &caller, &key.digest(), MOST_KEYS).await? {
        let detail =
            format!("You have {MOST_KEYS} API keys, which is the most; delete one that is not used.");
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
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
            (json!({"name": "é".repeat(255)}), Ok(Some("é".repeat(255)))),
            (json!({"name": "é".repeat(256)}), Err("value_error")),
            (json!({"name": 7}), Err("string_type")),
        ] {
            let found = name(body.as_object().unwrap()).map_err(|findings| findings[0].kind);
            assert_eq!(found, expected, "{body}");
        }
    }
}
