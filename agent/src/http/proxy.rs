//! Which way a request takes: straight, or through a proxy.

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::client::proxy::matcher::Matcher;

use crate::config::Proxies;

/// The way to a server.
#[derive(Debug)]
pub(super) enum Route {
    /// Straight.
    Direct,
    /// A plain request, handed to the proxy.
    Forward(Proxy),
    /// A tunnel through the proxy, with TLS to the server inside.
    Tunnel(Proxy),
}

/// A proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) address: Uri,
    /// What logs in to it; marked as sensitive, so that it is never printed.
    pub(super) login: Option<HeaderValue>,
}

/// The rules that choose.
pub(super) fn rules(proxies: &Proxies) -> Matcher {
    Matcher::builder()
        .all(proxies.all.as_str())
        .http(proxies.http.as_str())
        .https(proxies.https.as_str())
        .no(proxies.no.as_str())
        .build()
}

/// The way to `to`.
pub(super) fn route(rules: &Matcher, to: &Uri) -> Route {
    let Some(found) = rules.intercept(to) else { return Route::Direct };
    let proxy = Proxy { address: found.uri().clone(), login: found.basic_auth().cloned() };
    match to.scheme_str() {
        Some("https") => Route::Tunnel(proxy),
        _ => Route::Forward(proxy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_takes_the_way_that_is_configured() {
        let none = Proxies::default();
        let https = Proxies { https: "http://p:3128".into(), ..Proxies::default() };
        let all = Proxies {
            all: "http://u:p%40ss@p:3128".into(),
            no: "localhost, .internal,10.0.0.0/8".into(),
            ..Proxies::default()
        };
        for (proxies, to, expected) in [
            (&none, "https://api.example", "direct"),
            (&https, "https://api.example", "tunnel p:3128"),
            (&https, "http://api.example", "direct"),
            (&all, "https://api.example", "tunnel p:3128 with login"),
            (&all, "http://api.example", "forward p:3128 with login"),
            (&all, "http://localhost:1250", "direct"),
            (&all, "https://s3.internal", "direct"),
            (&all, "https://10.1.2.3:9000", "direct"),
        ] {
            let said = |how: &str, proxy: Proxy| {
                let login = if proxy.login.is_some() { " with login" } else { "" };
                format!("{how} {}{login}", proxy.address.authority().unwrap())
            };
            let way = match route(&rules(proxies), &to.parse().unwrap()) {
                Route::Direct => "direct".to_owned(),
                Route::Forward(proxy) => said("forward", proxy),
                Route::Tunnel(proxy) => said("tunnel", proxy),
            };
            assert_eq!(way, expected, "{to}");
        }
        let Route::Tunnel(proxy) = route(&rules(&all), &"https://a".parse().unwrap()) else { panic!() };
        assert_eq!(proxy.login.as_ref().unwrap(), "Basic dTpwQHNz");
        assert!(!format!("{proxy:?}").contains("dTpw"));
    }
}
