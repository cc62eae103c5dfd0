//! Reads a request body, up to a limit and within a time.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use contract::problem::ProblemCode;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;

use super::problem::ApiError;

/// How long a sender may take for its body.
const PATIENCE: Duration = Duration::from_secs(30);

/// How much of a body that is too large is still read and thrown away. A sender that is cut off in the middle of sending
/// often never sees the answer.
const READ_IN_VAIN: usize = 4 * 1024 * 1024;

/// The whole body, if it has at most `limit` bytes.
pub async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(PATIENCE, collect(body, limit, announced(headers))).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::too_slow(PATIENCE)),
    }
}

/// Refuses a body that is compressed or encoded otherwise: bytes count as they are sent.
pub fn refuse_encoded(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_plain = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return Ok(());
    }
    let detail = "The body must be sent as it is: leave out the header `Content-Encoding`";
    Err(ApiError::new(ProblemCode::MediaTypeUnsupported, detail))
}

fn announced(headers: &HeaderMap) -> usize {
    headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0)
}

async fn collect(mut body: Body, limit: usize, announced: usize) -> Result<Bytes, ApiError> {
    let mut read = BytesMut::with_capacity(if announced > limit { 0 } else { announced });
    let mut total = 0;
    while let Some(frame) = body.frame().await {
        // Nobody is left to read the answer to a body that broke off.
        let frame = frame.map_err(|_| ApiError::new(ProblemCode::ValidationFailed, "The body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        total += data.len();
        if total.max(announced) <= limit {
            read.extend_from_slice(&data);
        } else if total.max(announced) > READ_IN_VAIN {
            break;
        }
    }
    if total.max(announced) > limit {
        let detail = format!("The body may have at most {limit} bytes");
        return Err(ApiError::new(ProblemCode::BodyTooLarge, detail));
    }
    Ok(read.freeze())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::StreamExt as _;
    use futures_util::stream::{once, pending};
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_is_given_up_and_may_be_sent_again() {
        let begins = once(async { Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"{"))) });
        let body = Body::new(StreamBody::new(Box::pin(begins.chain(pending()))));
        let begun = Instant::now();
        let refused = read(&HeaderMap::new(), body, 10).await.unwrap_err();
        assert_eq!((refused.code(), begun.elapsed()), (ProblemCode::Unavailable, PATIENCE));
    }
}
