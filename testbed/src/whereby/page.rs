//! Lists, page by page.

use serde_json::{Value, json};

use super::answer::{Answer, Request};

/// The page of `items` that the request asks for with `cursor` and `limit`.
pub(super) fn answer(request: &Request, default_limit: usize, items: Vec<Value>) -> Answer {
    let limit = request.query("limit").map_or(Some(default_limit), |text| text.parse().ok());
    let Some(limit) = limit.filter(|limit| (1..=100).contains(limit)) else {
        return Answer::error(400, "limit must be between 1 and 100");
    };
    let start = request.query("cursor").map_or(Some(0), |text| text.parse().ok());
    let Some(start) = start else { return Answer::error(400, "cursor is not valid") };
    let next = start + limit;
    let cursor = (next < items.len()).then(|| next.to_string());
    let results: Vec<Value> = items.into_iter().skip(start).take(limit).collect();
    Answer::json(200, json!({ "results": results, "cursor": cursor }))
}
