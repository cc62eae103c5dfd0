//! The proxies between this host and the world: `proxy` in `[api]`, else the environment's usual variables.

use std::fmt;

use hyper::Uri;

use super::Finding;
use super::environment::Environment;
use super::finding::has_usable_port;

/// What `proxy` in `[api]` says where no proxy is to be used, whatever the environment says.
const NONE: &str = "none";

/// What a usable value looks like.
const EXAMPLE: &str = "write for example `http://proxy.example.com:3128`";

/// A proxy's address as configured. It may hold a password, so it is never printed.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct ProxyAddress(String);

impl fmt::Debug for ProxyAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyAddress(…)")
    }
}

/// Which proxy a request takes; an empty text stands for none. Addresses may hold passwords, so they are never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For every server that the others do not speak of.
    pub all: String,
    /// For http servers.
    pub http: String,
    /// For https servers.
    pub https: String,
    /// The hosts that are reached straight, as in `NO_PROXY`: names with everything below them, addresses, networks.
    pub no: String,
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxies({})", self.shown().unwrap_or_default())
    }
}

impl Proxies {
    /// The proxies without passwords, for people; `None` if there is none.
    pub fn shown(&self) -> Option<String> {
        let mut shown: Vec<String> =
            [&self.all, &self.http, &self.https].into_iter().filter_map(|proxy| host_of(proxy)).collect();
        shown.dedup();
        (!shown.is_empty()).then(|| shown.join(", "))
    }
}

/// Finds the proxies: what is configured, else what the environment says. `NO_PROXY` holds for both.
pub(super) fn find(
    configured: Option<&ProxyAddress>,
    environment: &Environment,
    findings: &mut Vec<Finding>,
) -> Proxies {
    let no = environment.any(&["NO_PROXY", "no_proxy"]).map_or("", |(_, text)| text).to_owned();
    match configured {
        Some(ProxyAddress(text)) if text.is_empty() || text == NONE => Proxies::default(),
        Some(ProxyAddress(text)) => {
            findings
                .extend(problem(text).map(|problem| {
                    Finding::error("api.proxy", format!("{problem}: {EXAMPLE}, or `{NONE}`"))
                }));
            Proxies { all: text.clone(), no, ..Proxies::default() }
        }
        None => {
            let mut get = |names: &[&str]| usable(environment, names, findings);
            Proxies {
                all: get(&["ALL_PROXY", "all_proxy"]),
                http: get(&["HTTP_PROXY", "http_proxy"]),
                https: get(&["HTTPS_PROXY", "https_proxy"]),
                no,
            }
        }
    }
}

/// The first of these variables that is set, if it is usable. One that is not is ignored, and said.
fn usable(environment: &Environment, names: &[&str], findings: &mut Vec<Finding>) -> String {
    let Some((name, text)) = environment.any(names) else { return String::new() };
    match problem(text) {
        None => text.to_owned(),
        Some(problem) => {
            findings.push(Finding::warning(name, format!("{problem}, so it is ignored: {EXAMPLE}")));
            String::new()
        }
    }
}

/// What is wrong with a proxy's address. It is never repeated: there may be a password in it.
fn problem(text: &str) -> Option<&'static str> {
    let Ok(uri) = text.parse::<Uri>() else {
        return Some(
            "is not the address of a proxy (special characters in user and password are written as %XX)",
        );
    };
    if uri.authority().is_none() || uri.host().is_none_or(str::is_empty) {
        return Some("is not the address of a proxy");
    }
    if !has_usable_port(&uri) {
        return Some("has a port that does not exist (they go from 1 to 65535)");
    }
    (!matches!(uri.scheme_str(), None | Some("http")))
        .then_some("is not an http proxy, which is the one kind that the agent uses")
}

/// Host and port alone.
fn host_of(proxy: &str) -> Option<String> {
    let uri = proxy.parse::<Uri>().ok()?;
    Some(format!("{}:{}", uri.host()?, uri.port_u16().unwrap_or(80)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    fn found(configured: Option<&str>, variables: &[(&str, &str)]) -> (Proxies, Vec<Finding>) {
        let configured = configured.map(|text| ProxyAddress(text.to_owned()));
        let mut findings = Vec::new();
        let environment = variables.iter().copied().collect();
        (find(configured.as_ref(), &environment, &mut findings), findings)
    }

    #[test]
    fn what_is_configured_wins_over_the_environment() {
        let environment = [("HTTPS_PROXY", "http://env:1"), ("no_proxy", "localhost")];
        for (configured, shown) in [
            (None, Some("env:1")),
            (Some("http://user:hunter2@own:3128"), Some("own:3128")),
            (Some("own:3128"), Some("own:3128")),
            (Some("none"), None),
            (Some(""), None),
        ] {
            let (proxies, findings) = found(configured, &environment);
            assert_eq!(proxies.shown().as_deref(), shown, "{configured:?}");
            assert!(findings.is_empty(), "{findings:?}");
            assert!(!format!("{proxies:?}").contains("hunter2"));
        }
    }

    #[test]
    fn an_address_that_cannot_be_used_is_told_and_never_repeated() {
        for text in [
            "socks5://u:hunter2@p:1080",
            "https://u:hunter2@p",
            "http://u:hun ter2@p",
            "/hunter2",
            "http://u:hunter2@p:99999",
        ] {
            let (_, findings) = found(Some(text), &[]);
            assert_eq!(findings[0].severity, Severity::Error, "{text}");
            let (proxies, ignored) = found(None, &[("ALL_PROXY", text)]);
            assert_eq!((ignored[0].severity, proxies), (Severity::Warning, Proxies::default()), "{text}");
            assert!(!format!("{findings:?}{ignored:?}").contains("ter2"), "{text}");
        }
    }
}
