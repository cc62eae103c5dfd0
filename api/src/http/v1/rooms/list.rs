//! `GET /v1/rooms`: the rooms that the caller sees in their list, page by page.

use axum::Json;
use axum::extract;
use contract::problem::ProblemCode;
use http::Uri;
use serde::Serialize;

use super::RoomDetailsBody;
use crate::db::rooms;
use crate::http::State;
use crate::http::caller::MaybeUser;
use crate::http::problem::ApiError;
use crate::http::query;
use crate::http::validation::Invalid;

/// The most rooms on one page.
const MAX_SIZE: i64 = 100;

/// The rooms on a page when the caller does not say.
const DEFAULT_SIZE: i64 = 50;

/// The last page that is counted to: beyond it the offset would not fit.
const MAX_PAGE: i64 = i64::MAX / MAX_SIZE;

/// A page of rooms.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Page_RoomDetails_, title = "Page[RoomDetails]")]
pub struct RoomPage {
    items: Vec<RoomDetailsBody>,
    total: i64,
    page: i64,
    size: i64,
    pages: i64,
}

/// What the query may say.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// The page, counted from 1.
    #[param(minimum = 1, default = 1)]
    pub page: Option<i64>,
    /// How many rooms a page has.
    #[param(minimum = 1, maximum = 100, default = 50)]
    pub size: Option<i64>,
}

/// Which page.
#[derive(Debug, PartialEq, Eq)]
struct PageQuery {
    page: i64,
    size: i64,
}

impl PageQuery {
    fn read(uri: &Uri) -> Result<Self, Vec<Invalid>> {
        let page = query::number(uri, "page", 1, 1..=MAX_PAGE);
        let size = query::number(uri, "size", DEFAULT_SIZE, 1..=MAX_SIZE);
        match (page, size) {
            (Ok(page), Ok(size)) => Ok(Self { page, size }),
            (page, size) => {
                Err([page.err(), size.err()].into_iter().flatten().map(|invalid| *invalid).collect())
            }
        }
    }
}

/// Answers with a page of the caller's own and of shared rooms, newest first. Without a token there are only shared rooms,
/// and those only in public mode.
#[utoipa::path(
    get, path = "/v1/rooms", operation_id = "v1_rooms_list",
    params(PageParams),
    responses((status = 200, body = RoomPage, description = "Successful Response")),
    security((), ("bearer" = [])),
)]
pub async fn list(
    extract::State(state): extract::State<State>,
    caller: MaybeUser,
    uri: Uri,
) -> Result<Json<RoomPage>, ApiError> {
    let viewer = caller.id();
    if viewer.is_none() && !state.config.public_mode {
        return Err(ApiError::titled(ProblemCode::NotAuthenticated));
    }
    let PageQuery { page, size } = PageQuery::read(&uri)?;
    let found = rooms::list(&state.db, viewer, size, (page - 1) * size).await?;
    let items = found.items.into_iter().map(|room| RoomDetailsBody::seen_by(viewer, room)).collect();
    let pages = (found.total + size - 1) / size;
    Ok(Json(RoomPage { items, total: found.total, page, size, pages }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_within_its_limits() {
        let read = |query: &str| {
            PageQuery::read(&format!("/v1/rooms{query}").parse().unwrap())
                .map(|query| (query.page, query.size))
                .map_err(|findings| findings.iter().map(|finding| finding.kind).collect::<Vec<_>>())
        };
        assert_eq!(read(""), Ok((1, 50)));
        assert_eq!(read("?page=3&size=100&other=x"), Ok((3, 100)));
        assert_eq!(read("?page=1&page=2"), Ok((2, 50)));
        assert_eq!(read("?page=0&size=101"), Err(vec!["greater_than_equal", "less_than_equal"]));
        assert_eq!(read("?page=x"), Err(vec!["int_parsing"]));
        assert_eq!(read("?page=9223372036854775807"), Err(vec!["less_than_equal"]));
    }
}
