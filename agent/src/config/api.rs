//! `[api]`: where deliveries go.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::ca_file;
use super::finding::{Finding, SECONDS, Section, has_usable_port, require, within};
use super::proxy::ProxyAddress;

/// `[api]`: where deliveries go.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Api {
    /// The API's address, for example `https://reflector.example.com`. Also `REFLECTOR_API_URL`.
    pub url: String,
    /// The file with the shared secret. Without it: the systemd credential `secret`, or `JITSI_WEBHOOK_SECRET`.
    pub secret_file: Option<PathBuf>,
    /// What the API knows this agent as, if it was enrolled and has a secret of its own (`reflector-api agents enroll`).
    pub agent_id: Option<String>,
    /// Which rooms are reported, as patterns with `*` and `?`; others are not read further.
    pub rooms: Vec<String>,
    /// The proxy to go through, for example `http://proxy.example.com:3128`; `none` for none. Without it: `HTTPS_PROXY`.
    pub proxy: Option<ProxyAddress>,
    /// A PEM file with CA certificates to trust beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How long a connection may take to be made.
    pub connect_timeout_seconds: u64,
    /// How long a request may take as a whole.
    pub request_timeout_seconds: u64,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            url: String::new(),
            secret_file: None,
            agent_id: None,
            rooms: vec!["reflector-*".into()],
            proxy: None,
            ca_file: None,
            connect_timeout_seconds: 10,
            request_timeout_seconds: 30,
        }
    }
}

impl Section for Api {
    const NAME: &'static str = "api";

    fn findings(&self) -> Vec<Finding> {
        let mut findings = url(&self.url);
        findings.extend(require(
            !self.rooms.is_empty(),
            "api.rooms",
            "is empty, so nothing would be reported: use [\"*\"] for every room",
        ));
        findings.extend(self.rooms.iter().filter_map(|pattern| room_pattern(pattern)));
        findings.extend(require(
            self.agent_id.as_deref().is_none_or(is_agent_id),
            "api.agent-id",
            "must be the name that `reflector-api agents enroll` was given: 1 to 64 letters, digits, dots, dashes and underscores",
        ));
        findings.extend(self.ca_file.as_deref().and_then(ca_file::finding));
        findings.extend(within("api.connect-timeout-seconds", self.connect_timeout_seconds, &SECONDS));
        findings.extend(within("api.request-timeout-seconds", self.request_timeout_seconds, &SECONDS));
        findings
    }
}

impl Api {
    /// How long a connection may take to be made.
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(self.connect_timeout_seconds)
    }

    /// How long a request may take as a whole.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }
}

/// What is wrong with a pattern for rooms. A room is the front part of an XMPP address, and Prosody has prepared it: no
/// blank or control character, and none of what separates addresses, is in one.
fn room_pattern(pattern: &str) -> Option<Finding> {
    const KEY: &str = "api.rooms";
    const NEVER: &str = "\"&'/:<>@[]#,;";
    if pattern.is_empty() {
        return Some(Finding::error(KEY, "has an empty pattern, which no room matches: remove it"));
    }
    let never = pattern.chars().find(|c| c.is_whitespace() || c.is_control() || NEVER.contains(*c))?;
    Some(Finding::error(
        KEY,
        format!(
            "has the pattern {pattern:?}, and no room has {never:?} in its name: `*` stands for any characters, `?` for one"
        ),
    ))
}

fn is_agent_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Whether this is an address that deliveries could go to, and that may be shown.
pub(crate) fn is_api_url(text: &str) -> bool {
    url(text).iter().all(|finding| finding.severity < super::finding::Severity::Error)
}

/// What may be wrong with `api.url`. Its text is never repeated: somebody may have written a password there.
fn url(url: &str) -> Vec<Finding> {
    const KEY: &str = "api.url";
    const EXAMPLE: &str =
        "write for example `url = \"https://reflector.example.com\"` in [api], or set REFLECTOR_API_URL";
    let error = |problem: String| vec![Finding::error(KEY, problem)];
    if url.is_empty() {
        return error(format!("is not set: `sudo reflector-agent setup` sets it, or {EXAMPLE}"));
    }
    let uri = match url.parse::<hyper::Uri>() {
        Ok(uri) if matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() => uri,
        _ => return error(format!("is not an http or https address: {EXAMPLE}")),
    };
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return error(
            "must not have a user or a password: deliveries are signed with the secret instead".into(),
        );
    }
    if !has_usable_port(&uri) {
        return error("has a port that does not exist: they go from 1 to 65535".into());
    }
    if uri.query().is_some() {
        return error("must not have a query".into());
    }
    let local = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if uri.scheme_str() == Some("http") && !local {
        return vec![Finding::warning(
            KEY,
            "is plain http: everybody on the way can read names and replay events within minutes; use https",
        )];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::super::finding::assert_bounds;
    use super::*;

    fn good() -> Api {
        Api { url: "https://reflector.example.com".into(), ..Api::default() }
    }

    #[test]
    fn every_number_has_bounds() {
        assert_bounds(&good(), "connect-timeout-seconds", &SECONDS, |api, n| api.connect_timeout_seconds = n);
        assert_bounds(&good(), "request-timeout-seconds", &SECONDS, |api, n| api.request_timeout_seconds = n);
    }

    #[test]
    fn an_agent_id_is_a_name_that_can_be_enrolled() {
        for (id, is_good) in
            [("jitsi-1.example.com", true), ("", false), ("two words", false), ("a\nb", false)]
        {
            let findings = Api { agent_id: Some(id.into()), ..good() }.findings();
            assert_eq!(findings.is_empty(), is_good, "{id:?}: {findings:?}");
        }
    }

    #[test]
    fn a_pattern_must_be_able_to_match_a_room() {
        for (pattern, expected) in [
            ("reflector-*", None),
            ("*", None),
            ("%e6%97%a5-?", None),
            ("日本", None),
            ("", Some("empty pattern")),
            ("a b", Some("' '")),
            ("[x", Some("'['")),
            ("room@conference", Some("'@'")),
            ("a\n", Some("'\\n'")),
        ] {
            let findings = Api { rooms: vec!["good".into(), pattern.into()], ..good() }.findings();
            match expected {
                None => assert!(findings.is_empty(), "{pattern:?}: {findings:?}"),
                Some(part) => assert!(findings[0].problem.contains(part), "{pattern:?}: {findings:?}"),
            }
        }
    }

    #[test]
    fn a_ca_file_must_hold_certificates() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        for (text, expected) in [
            (None, "No such file"),
            (Some(""), "no certificate"),
            (Some("-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n"), "cannot be used"),
        ] {
            if let Some(text) = text {
                std::fs::write(&path, text).unwrap();
            }
            let findings = Api { ca_file: Some(path.clone()), ..good() }.findings();
            assert_eq!(findings[0].key, "api.ca-file");
            assert!(findings[0].problem.contains(expected), "{findings:?}");
        }
    }

    #[test]
    fn an_address_is_http_without_user_or_query() {
        for (url, expected) in [
            ("https://reflector.example.com", None),
            ("HTTPS://reflector.example.com/server-api/", None),
            ("http://localhost:1250", None),
            ("http://[::1]:1250", None),
            ("http://reflector.example.com", Some("plain http")),
            ("", Some("not set")),
            ("reflector.example.com", Some("not an http or https address")),
            ("ftp://reflector.example.com", Some("not an http or https address")),
            ("https://reflector.example.com/?a=b", Some("query")),
            ("https://reflector.example.com:99999", Some("port")),
            ("https://agent:hunter2@reflector.example.com", Some("user or a password")),
            ("https://hunter2@reflector.example.com", Some("user or a password")),
            ("https://agent:hun ter2@reflector.example.com", Some("not an http or https address")),
        ] {
            let said = Api { url: url.into(), ..good() }.findings();
            let said: Vec<String> = said.into_iter().map(|finding| finding.problem).collect();
            match expected {
                None => assert!(said.is_empty(), "{url}: {said:?}"),
                Some(part) => assert!(said.len() == 1 && said[0].contains(part), "{url}: {said:?}"),
            }
            assert!(!said.concat().contains("ter2"), "{url}: {said:?}");
        }
    }
}
