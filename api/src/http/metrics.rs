//! `GET /metrics`: what Prometheus reads.

use std::net::SocketAddr;

use axum::extract::{self, ConnectInfo};
use axum::response::{IntoResponse, Response};
use contract::problem::ProblemCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Extensions, HeaderMap};
use subtle::ConstantTimeEq as _;

use super::State;
use super::client_address::ClientAddress;
use super::problem::ApiError;
use crate::config::{Metrics, MetricsReaders};

/// The format's name.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics, for whoever may read them.
pub(super) async fn get(
    extract::State(state): extract::State<State>,
    headers: HeaderMap,
    extensions: Extensions,
) -> Result<Response, ApiError> {
    if !may_read(&state.config.metrics, is_this_host(&extensions), &headers) {
        let detail = "Metrics are for this host, or for whoever has the token: see REFLECTOR_API_METRICS and \
                      REFLECTOR_API_METRICS_TOKEN.";
        return Err(ApiError::new(ProblemCode::Forbidden, detail));
    }
    Ok(([(CONTENT_TYPE, FORMAT)], state.meters.render(&state.db)).into_response())
}

/// Both who asks and who passes the question on: a proxy elsewhere may believe anybody who says to be here.
fn is_this_host(extensions: &Extensions) -> bool {
    let peer = extensions.get().map(|ConnectInfo(peer): &ConnectInfo<SocketAddr>| peer.ip().to_canonical());
    let client = extensions.get().map(|ClientAddress(client)| *client);
    [peer, client].iter().all(|address| address.is_some_and(|address| address.is_loopback()))
}

fn may_read(settings: &Metrics, is_this_host: bool, headers: &HeaderMap) -> bool {
    let is_let_in = match settings.readers {
        MetricsReaders::Everybody => true,
        MetricsReaders::ThisHost => is_this_host,
        MetricsReaders::Nobody => false,
    };
    let presented = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    is_let_in
        || settings
            .token
            .as_ref()
            .zip(presented)
            .is_some_and(|(token, presented)| token.expose().as_bytes().ct_eq(presented).into())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::config::Secret;

    #[test]
    fn this_host_and_the_token_may_read() {
        let (local, remote) = (true, false);
        let settings = |readers| Metrics { readers, token: Some(Secret::new("0123456789abcdef")) };
        let (this_host, nobody) = (settings(MetricsReaders::ThisHost), settings(MetricsReaders::Nobody));
        let open = Metrics { readers: MetricsReaders::Everybody, token: None };
        let no_token = Metrics { readers: MetricsReaders::Nobody, token: None };
        for (settings, client, token, expected) in [
            (&this_host, local, None, true),
            (&this_host, remote, None, false),
            (&this_host, remote, Some("Bearer 0123456789abcdef"), true),
            (&this_host, remote, Some("Bearer 0123456789abcdeX"), false),
            (&this_host, remote, Some("Basic 0123456789abcdef"), false),
            (&nobody, local, None, false),
            (&nobody, local, Some("Bearer 0123456789abcdef"), true),
            (&no_token, local, Some("Bearer "), false),
            (&open, remote, None, true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(token) = token {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(token));
            }
            assert_eq!(may_read(settings, client, &headers), expected, "{settings:?} {client:?} {token:?}");
        }
    }

    #[test]
    fn this_host_is_where_both_ends_of_the_way_are() {
        for (peer, client, expected) in [
            (Some("127.0.0.1:4711"), Some("127.0.0.1"), true),
            (Some("[::1]:4711"), Some("::1"), true),
            (Some("127.0.0.1:4711"), Some("192.0.2.1"), false),
            (Some("10.0.0.7:4711"), Some("127.0.0.1"), false),
            (None, None, false),
        ] {
            let mut extensions = Extensions::new();
            if let Some(text) = peer {
                extensions.insert(ConnectInfo(text.parse::<SocketAddr>().unwrap()));
            }
            if let Some(text) = client {
                extensions.insert(ClientAddress(text.parse().unwrap()));
            }
            assert_eq!(is_this_host(&extensions), expected, "{peer:?} {client:?}");
        }
    }
}
