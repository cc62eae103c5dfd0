//! Turn claimed items into one signed request.

use bytes::Bytes;
use contract::batch;
use hyper::{Method, Request, Uri};

use crate::config::Secret;
use crate::http::{self, Body};
use crate::outbox::model::{Claimed, Kind};

/// The routes that deliveries go to, below one API address.
#[derive(Debug, Clone)]
pub struct Routes {
    events: Uri,
    recordings: Uri,
}

impl Routes {
    /// The routes below `base`, for example `https://reflector.example.com` or `…/server-api/`.
    pub fn below(base: &str) -> Result<Self, hyper::http::uri::InvalidUri> {
        let base = base.trim_end_matches('/');
        Ok(Self {
            events: format!("{base}/v1/jitsi/events").parse()?,
            recordings: format!("{base}/v1/jibri/recording-complete").parse()?,
        })
    }
}

/// Builds the request that carries `items`: one event or recording as JSON, several events as NDJSON.
///
/// The signature's id is the first item's, its time is `now` (seconds since 1970), so every attempt is dated afresh.
pub fn build(routes: &Routes, secret: &Secret, items: &[Claimed], now: i64) -> Request<Body> {
    let (uri, content_type, body) = match items {
        [item] if item.kind == Kind::Recording => (&routes.recordings, batch::JSON, item.body.clone()),
        [item] => (&routes.events, batch::JSON, item.body.clone()),
        items => (&routes.events, batch::NDJSON, lines(items)),
    };
    let id = items.first().map_or("", |item| item.id.as_str());
    http::signed(Method::POST, uri.clone(), secret, id, now, content_type, body)
}

fn lines(items: &[Claimed]) -> Bytes {
    let mut body = Vec::with_capacity(items.iter().map(|item| item.body.len() + 1).sum());
    for item in items {
        body.extend_from_slice(&item.body);
        body.push(b'\n');
    }
    body.into()
}
