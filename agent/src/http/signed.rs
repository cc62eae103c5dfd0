//! A request that is signed as our API expects it.

use bytes::Bytes;
use contract::signature;
use hyper::header::{CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Uri};

use super::{Body, whole};
use crate::config::Secret;

/// A request with `body`, signed under `id` at the time `now` (seconds since 1970). Every attempt is signed afresh.
pub fn signed(
    method: Method,
    uri: Uri,
    secret: &Secret,
    id: &str,
    now: i64,
    content_type: &'static str,
    body: Bytes,
) -> Request<Body> {
    let signed = secret.keys.sign(id, now, &body);
    let mut request = Request::new(whole(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers
        .insert(USER_AGENT, HeaderValue::from_static(concat!("reflector-agent/", env!("CARGO_PKG_VERSION"))));
    for (name, value) in [
        (signature::JITSI_SIGNATURE, signed.jitsi.as_str()),
        (signature::WEBHOOK_ID, id),
        (signature::WEBHOOK_TIMESTAMP, signed.timestamp.as_str()),
        (signature::WEBHOOK_SIGNATURE, signed.standard.as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    if let Some(agent) = &secret.agent {
        headers.insert(signature::AGENT, agent.clone());
    }
    request
}
