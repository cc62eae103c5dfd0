//! `/ops/webhooks/{id}`: a webhook with its attempts, and the button that has it tried again.

use askama::Template;
use axum::response::{IntoResponse, Response};
use axum::{Extension, extract};
use contract::problem::ProblemCode;
use http::header::LOCATION;
use http::{HeaderValue, StatusCode};

use super::guard::Operator;
use super::paging;
use super::shell::{self, Shell, Trouble};
use super::text::When;
use super::webhooks::Line;
use crate::db::ops_webhooks::{self, AttemptLine};
use crate::db::webhook_deliveries;
use crate::http::State;
use crate::http::path_text::PathText;
use crate::http::problem::ApiError;

#[derive(Template)]
#[template(path = "ops/webhook.html")]
struct Page {
    shell: Shell,
    line: Line,
    attempts: Vec<Attempt>,
}

struct Attempt {
    number: i32,
    ended: When,
    duration_ms: i32,
    status: String,
    error: Option<String>,
    preview: Option<String>,
}

impl From<AttemptLine> for Attempt {
    fn from(line: AttemptLine) -> Self {
        Self {
            number: line.number,
            ended: When::exact(line.ended_at),
            duration_ms: line.duration_ms,
            status: line.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string()),
            error: line.error,
            preview: line.preview.filter(|preview| !preview.is_empty()),
        }
    }
}

/// Shows a webhook and what each attempt was answered.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    shell: Shell,
    PathText(id): PathText,
) -> Result<Response, Trouble> {
    let line = ops_webhooks::find(&state.db, &id).await?;
    let line = line.ok_or_else(|| ApiError::titled(ProblemCode::NotFound))?;
    let attempts = ops_webhooks::attempts(&state.db, &id).await?;
    shell::page(&Page {
        line: Line::new(line, &shell),
        attempts: attempts.into_iter().map(Attempt::from).collect(),
        shell,
    })
}

/// Has a parked webhook tried again, and leads to its page. One that is not parked any more is left as it is.
pub(super) async fn retry(
    extract::State(state): extract::State<State>,
    Extension(Operator(name)): Extension<Operator>,
    PathText(id): PathText,
) -> Result<Response, Trouble> {
    if webhook_deliveries::retry(&state.db, &id).await? {
        tracing::info!(webhook.id = id, "{name:?} has a parked webhook tried again");
        state.webhooks.wake();
    } else if ops_webhooks::find(&state.db, &id).await?.is_none() {
        return Err(ApiError::titled(ProblemCode::NotFound).into());
    }
    // To the webhook's page, where a reload asks for nothing again.
    let target = HeaderValue::from_str(&format!("../{}", paging::escaped(&id)))
        .map_err(|error| ApiError::internal(&error))?;
    Ok((StatusCode::SEE_OTHER, [(LOCATION, target)]).into_response())
}
