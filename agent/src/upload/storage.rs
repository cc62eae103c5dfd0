//! Send one part to the storage, and what its answer means.

use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use contract::verdict::LONGEST_RETRY_AFTER;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Method, Request};

use super::body::{Flow, Meter, PartBody};
use crate::chain::Chain;
use crate::delivery::client::seconds;
use crate::delivery::gate::Health;
use crate::http::{Body, Client, streamed};

/// How long a part may stand still before it is given up. A connection over which nothing passes may be dead without
/// anybody having said so.
const STANDSTILL: Duration = Duration::from_mins(2);

/// What came of sending a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent {
    /// The storage has it.
    Stored,
    /// The storage does not take this address: it may have expired.
    Refused(String),
    /// The storage does not know the upload.
    Unknown,
    /// The file could not be read to the part's end.
    Unreadable,
    /// The storage answered that it cannot now.
    Busy {
        /// Why, for people.
        note: String,
        /// Not to be tried again before this has passed.
        floor: Duration,
    },
    /// No answer.
    Unreachable(String),
}

impl Sent {
    /// What it says about the storage as a whole.
    pub(super) fn health(&self) -> Option<Health> {
        match self {
            Self::Stored | Self::Refused(_) | Self::Unknown => Some(Health::Answering),
            Self::Busy { .. } | Self::Unreachable(_) => Some(Health::Failing),
            Self::Unreadable => None,
        }
    }
}

/// Sends `range` of `file` to a presigned address. `meter` tells how far it is.
pub(super) async fn send(
    http: &Client,
    url: &str,
    file: Arc<File>,
    range: Range<u64>,
    flow: Arc<Flow>,
    meter: Arc<Meter>,
) -> Sent {
    let body = PartBody::new(file, range, flow, Arc::clone(&meter));
    let Some(request) = request(url, streamed(body)) else {
        return Sent::Refused("the API's address of the storage is no address".into());
    };
    // How long a part takes is a matter of its size and the line; only a standstill ends it.
    let exchange = http.exchange(request, Duration::MAX);
    tokio::pin!(exchange);
    let mut seen = None;
    loop {
        match tokio::time::timeout(STANDSTILL, &mut exchange).await {
            Ok(Ok(answer)) => {
                return of_answer(answer.head.status.as_u16(), &answer.head.headers, &answer.body);
            }
            Ok(Err(_)) if meter.is_unreadable() => return Sent::Unreadable,
            Ok(Err(error)) => return Sent::Unreachable(Chain(&error).to_string()),
            Err(_) if seen == Some(meter.sent()) => {
                return Sent::Unreachable(format!("nothing went through for {} s", STANDSTILL.as_secs()));
            }
            Err(_) => seen = Some(meter.sent()),
        }
    }
}

fn request(url: &str, body: Body) -> Option<Request<Body>> {
    let mut request = Request::new(body);
    *request.method_mut() = Method::PUT;
    *request.uri_mut() = url.parse().ok()?;
    let agent = HeaderValue::from_static(concat!("reflector-agent/", env!("CARGO_PKG_VERSION")));
    request.headers_mut().insert(USER_AGENT, agent);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    Some(request)
}

/// What an answer to a part means.
fn of_answer(status: u16, headers: &HeaderMap, body: &[u8]) -> Sent {
    let note = explanation(status, body);
    let code = error_code(body).unwrap_or_default();
    match status {
        200..=299 => Sent::Stored,
        401 | 403 => Sent::Refused(note),
        400 if matches!(code, "ExpiredToken" | "RequestExpired" | "AccessDenied") => Sent::Refused(note),
        404 => Sent::Unknown,
        _ => {
            let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(seconds);
            Sent::Busy { note, floor: asked.unwrap_or_default().min(LONGEST_RETRY_AFTER) }
        }
    }
}

/// What an answer of the storage says to people. Only its code: the rest of an error repeats the signed address.
fn explanation(status: u16, body: &[u8]) -> String {
    match error_code(body) {
        Some(code) => format!("the storage answered {status} {code}"),
        None => format!("the storage answered {status}"),
    }
}

/// The code of an S3 error.
fn error_code(body: &[u8]) -> Option<&str> {
    let text = str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("<Code>")?;
    let (code, _) = rest.split_once("</Code>")?;
    let is_code =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_means_one_thing() {
        let error = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>");
        let busy = |text: &str, seconds| Sent::Busy {
            note: format!("the storage answered {text}"),
            floor: Duration::from_secs(seconds),
        };
        let refused = |text: &str| Sent::Refused(format!("the storage answered {text}"));
        for (status, retry_after, body, expected) in [
            (200, None, String::new(), Sent::Stored),
            (403, None, error("AccessDenied"), refused("403 AccessDenied")),
            (403, None, error("SignatureDoesNotMatch"), refused("403 SignatureDoesNotMatch")),
            (403, None, "<html>no</html>".into(), refused("403")),
            (401, None, String::new(), refused("401")),
            (400, None, error("ExpiredToken"), refused("400 ExpiredToken")),
            (400, None, error("RequestTimeout"), busy("400 RequestTimeout", 0)),
            (404, None, error("NoSuchUpload"), Sent::Unknown),
            (500, None, error("InternalError"), busy("500 InternalError", 0)),
            (503, Some("7"), error("SlowDown"), busy("503 SlowDown", 7)),
            (503, Some("1000000"), error("SlowDown"), busy("503 SlowDown", 3600)),
            (301, None, error("PermanentRedirect"), busy("301 PermanentRedirect", 0)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = retry_after {
                headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            }
            assert_eq!(of_answer(status, &headers, body.as_bytes()), expected, "{status} {body}");
        }
    }

    #[test]
    fn nothing_of_an_error_is_repeated_but_its_code() {
        for body in [
            "<Error><Code>https://s3/?X-Amz-Signature=1</Code></Error>",
            "<Error><Message>X-Amz-Signature=1</Message></Error>",
            "<Error><Code></Code><StringToSign>X-Amz-Signature=1</StringToSign></Error>",
        ] {
            assert_eq!(explanation(403, body.as_bytes()), "the storage answered 403", "{body}");
        }
    }
}
