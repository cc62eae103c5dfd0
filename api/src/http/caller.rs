//! Who calls: extractors that put a handler's demands into its signature.

use axum::extract::FromRequestParts;
use contract::problem::ProblemCode;
use http::HeaderMap;
use http::request::Parts;
use time::OffsetDateTime;

use super::State;
use super::problem::ApiError;
use super::request_id;
use crate::auth::api_key::{self, TwoUsers};
use crate::auth::bearer::Refusal;
use crate::config::Auth;
use crate::db::api_keys;
use crate::domain::identity::Identity;

/// The caller, by bearer token or API key, or `None` for somebody who does not say. A token that is not valid is refused with 401
/// all the same.
#[derive(Debug)]
pub struct MaybeUser(pub Option<Identity>);

/// The caller. Who does not say is refused with 401, before the body is looked at.
#[derive(Debug)]
pub struct User(pub Identity);

/// The caller, who has sent a bearer token. Who sends an API key alone is refused with 403.
#[derive(Debug)]
pub struct UserByToken(pub Identity);

impl MaybeUser {
    /// The caller's id.
    pub fn id(&self) -> Option<&str> {
        self.0.as_ref().map(|identity| identity.user_id.as_str())
    }
}

impl FromRequestParts<State> for MaybeUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let by_token = by_token(&parts.headers, state).await?;
        let by_key = by_key(&parts.headers, state).await?;
        api_key::one_user(by_token, by_key).map(Self).map_err(|TwoUsers| {
            let detail = "The API key and the bearer token belong to different users; send only one of them.";
            ApiError::new(ProblemCode::AuthenticationInvalid, detail)
        })
    }
}

async fn by_token(headers: &HeaderMap, state: &State) -> Result<Option<Identity>, ApiError> {
    let now = OffsetDateTime::now_utc();
    state.authenticator.identify(headers, now).await.map_err(|refusal| match refusal {
        Refusal::Invalid(reason) => {
            let reason = anyhow::Error::from(reason);
            tracing::debug!(request.id = request_id::current(), "answering 401: {reason:#}");
            ApiError::titled(ProblemCode::AuthenticationInvalid)
        }
        Refusal::Unchecked => ApiError::for_now(
            "The keys that bearer tokens are checked with cannot be fetched at the moment; try again shortly.",
        ),
    })
}

/// Whose API key the request carries. A key that nobody has says nothing, as the existing API has it.
async fn by_key(headers: &HeaderMap, state: &State) -> Result<Option<Identity>, ApiError> {
    match (&state.config.auth, api_key::sent(headers)) {
        (Auth::Jwt(_), Some(digest)) => Ok(api_keys::find_owner(&state.db, &digest).await?),
        _ => Ok(None),
    }
}

impl FromRequestParts<State> for User {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let MaybeUser(caller) = MaybeUser::from_request_parts(parts, state).await?;
        caller.map(Self).ok_or_else(|| ApiError::titled(ProblemCode::NotAuthenticated))
    }
}

impl FromRequestParts<State> for UserByToken {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, ApiError> {
        let User(caller) = User::from_request_parts(parts, state).await?;
        match by_token(&parts.headers, state).await? {
            Some(_) => Ok(Self(caller)),
            None => Err(ApiError::new(
                ProblemCode::Forbidden,
                "An API key cannot do this; send the bearer token of a user who is logged in.",
            )),
        }
    }
}
