//! JSON objects in request bodies of people's programs.

use axum::extract::{FromRequest, Request};
use contract::problem::ProblemCode;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use super::problem::ApiError;
use super::validation::Invalid;
use super::{State, body};

/// The largest body that these routes take, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;

/// The object of a body; `None` for a request without a body.
#[derive(Debug)]
pub struct JsonObject(Option<Map<String, Value>>);

impl JsonObject {
    /// The object, on a route that needs one.
    pub fn required(self) -> Result<Map<String, Value>, ApiError> {
        self.0.ok_or_else(|| ApiError::from(Invalid::no_body()))
    }

    /// The object, on a route that can do without; no body is an empty object.
    pub fn or_empty(self) -> Map<String, Value> {
        self.0.unwrap_or_default()
    }
}

impl FromRequest<State> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &State) -> Result<Self, ApiError> {
        let (parts, content) = request.into_parts();
        let bytes = body::read(&parts.headers, content, MAX_BYTES).await?;
        if bytes.trim_ascii().is_empty() {
            return Ok(Self(None));
        }
        body::refuse_encoded(&parts.headers)?;
        if !is_json(&parts.headers) {
            return Err(ApiError::new(
                ProblemCode::MediaTypeUnsupported,
                "The body must be JSON and say so: send the header `Content-Type: application/json`.",
            ));
        }
        parse(&bytes).map(|object| Self(Some(object))).map_err(|invalid| ApiError::from(*invalid))
    }
}

/// Whether the content type is JSON, or is not given at all.
fn is_json(headers: &HeaderMap) -> bool {
    let essence = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
        text.split(';').next().unwrap_or_default().trim().to_owned()
    };
    headers.get(CONTENT_TYPE).map(essence).is_none_or(|essence| {
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}

fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Box<Invalid>> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(other) => Err(Box::new(Invalid::not_an_object(other))),
        Err(error) => Err(Box::new(Invalid::not_json(bytes, &error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_json_unless_it_says_otherwise() {
        for (header, expected) in [
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("application/merge-patch+json"), true),
            (None, true),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("text/json"), false),
            (Some(""), false),
        ] {
            let headers: HeaderMap =
                header.map(|value| (CONTENT_TYPE, HeaderValue::from_static(value))).into_iter().collect();
            assert_eq!(is_json(&headers), expected, "{header:?}");
        }
    }

    #[test]
    fn what_is_not_an_object_is_said() {
        let kind = |bytes: &[u8]| parse(bytes).map_err(|invalid| invalid.kind).err();
        assert_eq!(kind(b"{}"), None);
        assert_eq!(kind(b"[]"), Some("model_attributes_type"));
        assert_eq!(kind(b"nonsense"), Some("json_invalid"));
        assert_eq!(kind(b"\"\xff\""), Some("json_invalid"));
    }
}
