//! Routes under `/v1/user`: what belongs to the caller alone.

use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::db::api_keys::ApiKeyRecord;
use crate::http::State;
use crate::http::date_time::DateTime;

pub mod create_api_key;
pub mod delete_api_key;
pub mod list_api_keys;

/// The routes under `/v1/user`, with their full paths.
pub fn router() -> OpenApiRouter<State> {
    OpenApiRouter::new()
        .routes(routes!(list_api_keys::list_api_keys, create_api_key::create_api_key))
        .routes(routes!(delete_api_key::delete_api_key))
}

/// An API key in answers, without the key: the schema `ApiKeyResponse`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApiKeyResponse)]
pub struct ApiKeyBody {
    id: String,
    user_id: String,
    #[schema(required)]
    name: Option<String>,
    created_at: DateTime,
}

impl From<ApiKeyRecord> for ApiKeyBody {
    fn from(key: ApiKeyRecord) -> Self {
        Self { id: key.id, user_id: key.user_id, name: key.name, created_at: DateTime(key.created_at) }
    }
}
